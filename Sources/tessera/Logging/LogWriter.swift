// The one thread that writes the log, so that no request waits for the descriptor (decision 0028).
//
// 1. A line below `warning` is queued. The thread gathers for 10 ms and writes what has come together.
// 2. A line of `warning` or above ends the gathering, and its caller waits until the line is written: 5 ms at most.
// 3. A full queue is waited for, 5 ms at most; then the line is dropped and counted.
// 4. After a wait that was too long, no caller waits again before a write has succeeded: a log that is not read costs
//    5 ms once, and not 5 ms for each line.
@preconcurrency import Dispatch
import Storage
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Takes lines from any thread and writes them in order.
final class LogWriter: Sendable {
    struct Limits: Sendable {
        /// Bytes that may wait.
        var capacity = 8 << 20
        /// How long the caller of one line is held up.
        var maxWait = Duration.milliseconds(5)
        /// How long the thread waits for more lines before it writes. A crash loses the lines of this time.
        var gathering = Duration.milliseconds(10)
        /// Bytes of one write. pipe(7): up to `PIPE_BUF` it is atomic, so that a line stays whole where two processes
        /// share a pipe.
        var chunk = 4096
    }

    /// Writes bytes and returns how many of them it wrote; fewer mean that the rest is lost. It may block.
    typealias Output = @Sendable (ArraySlice<UInt8>) -> Int

    private enum Activity { case idle, gathering, writing }

    /// A caller that waits until the writer has passed a position.
    private struct Waiter: Sendable {
        let position: Int
        let semaphore = DispatchSemaphore(value: 0)
    }

    private struct State {
        var queue: LogQueue
        var activity = Activity.writing
        var waiters: [Waiter] = []
        /// Set by a wait that was too long, reset by the next write.
        var isStuck = false
        var onDrop: @Sendable (Int) -> Void = { _ in }
    }

    private let limits: Limits
    private let output: Output
    private let state: Mutex<State>
    private let arrivals = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - limits: sizes and times.
    ///   - notice: makes the line that says how many lines are missing.
    ///   - output: where the lines go; called by one thread alone.
    init(limits: Limits = Limits(), notice: @escaping @Sendable (Int) -> [UInt8], output: @escaping Output) {
        self.limits = limits
        self.output = output
        state = Mutex(State(queue: LogQueue(capacity: limits.capacity, notice: notice)))
        OwnThread.start("log-writer") { [self] in run() }
    }

    /// Lines that were lost, since the start.
    var dropped: Int { state.withLock { $0.queue.dropped } }

    /// Calls `body` with each number of lines that are lost, and at once with those that have been.
    func onDrop(_ body: @escaping @Sendable (Int) -> Void) {
        state.withLock { state in
            state.onDrop = body
            if state.queue.dropped > 0 { body(state.queue.dropped) }
        }
    }

    // MARK: - The callers' side

    /// Queues a line, which has no line feed.
    ///
    /// - Parameters:
    ///   - line: the line.
    ///   - isUrgent: return when the line is written, or after `maxWait`.
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

    /// Writes what is queued and waits for it, `limit` at most. Returns whether all of it is written.
    @discardableResult
    func flush(within limit: Duration) -> Bool {
        let waiter: Waiter? = state.withLock { state in
            state.queue.reportLoss()
            return state.queue.written < state.queue.accepted ? wait(&state) : nil
        }
        guard let waiter else { return true }
        return waiter.semaphore.wait(timeout: .now() + limit) == .success
    }

    /// Whether the line is queued, and what its caller has to wait for.
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

    /// Ends a wait that was too long. `line` is the one that found no room.
    private func giveUp(_ waiter: Waiter, line: [UInt8]?) {
        state.withLock { state in
            // Not there: a write has released it in this moment.
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

    /// Registers a waiter; without a position, for all that is queued.
    private func wait(_ state: inout State, for position: Int? = nil) -> Waiter {
        let waiter = Waiter(position: position ?? state.queue.accepted)
        state.waiters.append(waiter)
        wake(&state)
        return waiter
    }

    /// Wakes the thread when it is idle, or gathers while a caller waits.
    private func wake(_ state: inout State) {
        let isAwaited = !state.waiters.isEmpty
        guard state.activity == .idle || state.activity == .gathering && isAwaited else { return }
        state.activity = isAwaited ? .writing : .gathering
        arrivals.signal()
    }

    // MARK: - The thread's side

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

    /// Returns when there is something to write, and nothing more is expected soon.
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
        // The end of a line that was cut off by an error, so that the next line stands alone.
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
