// One thread writes the log, so that no request waits for the descriptor (decision 0028).
//
// 1. A line below `warning` is queued. The thread gathers lines for 10 ms and writes them together.
// 2. A line of `warning` or above ends the gathering. Its caller waits until the line is written, at most 5 ms.
// 3. If the queue is full the caller waits, at most 5 ms; then the line is dropped and counted.
// 4. After a wait that timed out, no caller waits until a write succeeds. So a log that is not read costs 5 ms once,
//    not 5 ms a line.
@preconcurrency import Dispatch
import Storage
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

final class LogWriter: Sendable {
    struct Limits: Sendable {
        /// The queue's limit, in bytes.
        var capacity = 8 << 20
        /// The longest wait of a caller.
        var maxWait = Duration.milliseconds(5)
        /// How long the thread gathers lines before it writes. A crash loses these lines.
        var gathering = Duration.milliseconds(10)
        /// Bytes of one write. pipe(7): a write of up to `PIPE_BUF` is atomic, so lines stay whole if two processes
        /// share a pipe.
        var chunk = 4096
    }

    typealias Output = @Sendable (ArraySlice<UInt8>) -> Int

    private enum Activity { case idle, gathering, writing }

    /// A caller that waits for the writer to pass a position.
    private struct Waiter: Sendable {
        let position: Int
        let semaphore = DispatchSemaphore(value: 0)
    }

    private struct State {
        var queue: LogQueue
        var activity = Activity.writing
        var waiters: [Waiter] = []
        /// Set by a wait that timed out, reset by the next write.
        var isStuck = false
        var onDrop: @Sendable (Int) -> Void = { _ in }
    }

    private let limits: Limits
    private let output: Output
    private let state: Mutex<State>
    private let arrivals = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - limits: sizes and times.
    ///   - notice: makes the line that reports how many lines are missing.
    ///   - output: writes bytes and returns how many it wrote; the rest is lost. It may block; one thread calls it.
    init(limits: Limits = Limits(), notice: @escaping @Sendable (Int) -> [UInt8], output: @escaping Output) {
        self.limits = limits
        self.output = output
        state = Mutex(State(queue: LogQueue(capacity: limits.capacity, notice: notice)))
        OwnThread.start("log-writer") { [self] in run() }
    }

    /// Lines lost since the start.
    var dropped: Int { state.withLock { $0.queue.dropped } }

    /// Calls `body` with each number of lost lines, and at once with the earlier ones.
    func onDrop(_ body: @escaping @Sendable (Int) -> Void) {
        state.withLock { state in
            state.onDrop = body
            if state.queue.dropped > 0 { body(state.queue.dropped) }
        }
    }

    /// Queues a line without a line feed. If it is urgent, returns once it is written or after `maxWait`.
    func write(_ line: [UInt8], isUrgent: Bool = false) {
        var (isQueued, waiter) = enqueue(line, isUrgent)
        guard waiter != nil else { return }
        let deadline = DispatchTime.now() + limits.maxWait
        while let current = waiter {
            guard current.semaphore.wait(timeout: deadline) == .success else {
                return giveUp(current, line: isQueued ? nil : line)
            }
            if isQueued { return }
            (isQueued, waiter) = enqueue(line, isUrgent)
        }
    }

    /// Writes all queued lines, within `limit`. Returns whether all are written.
    @discardableResult
    func flush(within limit: Duration) -> Bool {
        let waiter: Waiter? = state.withLock { state in
            state.queue.reportLoss()
            return state.queue.written < state.queue.accepted ? wait(&state) : nil
        }
        guard let waiter else { return true }
        return waiter.semaphore.wait(timeout: .now() + limit) == .success
    }

    private func enqueue(_ line: [UInt8], _ isUrgent: Bool) -> (isQueued: Bool, waiter: Waiter?) {
        state.withLock { state in
            let isQueued = state.queue.append(line)
            guard !isQueued || isUrgent, !state.isStuck else {
                if isQueued { wake(&state) } else { drop(1, &state) }
                return (isQueued, nil)
            }
            return (isQueued, wait(&state, for: isQueued ? state.queue.accepted : 0))
        }
    }

    /// Ends a wait that timed out. `line` is the one that found no room.
    private func giveUp(_ waiter: Waiter, line: [UInt8]?) {
        state.withLock { state in
            // Absent if a write has just released it.
            if let index = state.waiters.firstIndex(where: { $0.semaphore === waiter.semaphore }) {
                state.waiters.remove(at: index)
                state.isStuck = true
            }
            guard let line else { return }
            if state.queue.append(line) { wake(&state) } else { drop(1, &state) }
        }
    }

    private func drop(_ lines: Int, _ state: inout State) {
        state.queue.drop(lines)
        state.onDrop(lines)
    }

    private func wait(_ state: inout State, for position: Int? = nil) -> Waiter {
        let waiter = Waiter(position: position ?? state.queue.accepted)
        state.waiters.append(waiter)
        wake(&state)
        return waiter
    }

    /// Wakes the thread if it is idle, or if it gathers while a caller waits.
    private func wake(_ state: inout State) {
        let isAwaited = !state.waiters.isEmpty
        guard state.activity == .idle || state.activity == .gathering && isAwaited else { return }
        state.activity = isAwaited ? .writing : .gathering
        arrivals.signal()
    }

    private func run() {
        // SECURITY: a reader that goes away must not end the process: write(2) then fails with EPIPE.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        var batch: [UInt8] = []
        var isTorn = false
        while true {
            awaitLines()
            state.withLock { state in
                state.activity = .writing
                state.queue.take(into: &batch)
            }
            var rest = batch[...]
            while !rest.isEmpty {
                let lines = LogQueue.wholeLines(of: rest, upTo: limits.chunk)
                rest = rest[lines.endIndex...]
                write(lines, isTorn: &isTorn)
            }
            // A burst must not keep its memory.
            if batch.capacity > 1 << 18 { batch = [] }
        }
    }

    /// Returns when there are lines to write and the gathering is over.
    private func awaitLines() {
        while true {
            let activity = state.withLock { state -> Activity in
                if state.activity == .writing {
                    state.activity = state.queue.isEmpty ? .idle : state.waiters.isEmpty ? .gathering : .writing
                }
                return state.activity
            }
            switch activity {
            case .idle: arrivals.wait()
            case .gathering:
                _ = arrivals.wait(timeout: .now() + limits.gathering)
                return
            case .writing: return
            }
        }
    }

    private func write(_ lines: ArraySlice<UInt8>, isTorn: inout Bool) {
        // Ends a line that an error cut off, so that the next one is separate.
        if isTorn, output([LogQueue.lineFeed]) == 1 { isTorn = false }
        let count = isTorn ? 0 : output(lines)
        let lost = lines.dropFirst(count)
        if !lost.isEmpty, count > 0 { isTorn = lines[lost.startIndex - 1] != LogQueue.lineFeed }
        let released = state.withLock { state -> [Waiter] in
            let lostLines = lost.count { $0 == LogQueue.lineFeed }
            state.queue.advance(by: lines.count, lost: lostLines)
            if lostLines > 0 { state.onDrop(lostLines) }
            state.isStuck = false
            let written = state.queue.written
            defer { state.waiters.removeAll { $0.position <= written } }
            return state.waiters.filter { $0.position <= written }
        }
        for waiter in released { waiter.semaphore.signal() }
    }
}

extension DispatchTime {
    fileprivate static func + (time: DispatchTime, duration: Duration) -> DispatchTime {
        time + DispatchTimeInterval.nanoseconds(Int(duration.wholeMicroseconds) * 1000)
    }
}
