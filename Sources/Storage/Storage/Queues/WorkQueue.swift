// The queue in front of an engine's threads.
//
// Callers are tasks and may not block; engines are C libraries that always block. So a task adds its work to this queue
// and suspends. A thread of the engine takes what waits, often several pieces at once, and resumes the tasks when it is
// done.
//
// The queue is bounded (`.overloaded` beyond it), the wait is bounded (`.unavailable`), and a cancelled caller leaves
// the queue (`.cancelled`). All three concern waiting work only. Once a thread has taken it, only the engine knows its
// outcome.

internal import DequeModule
@preconcurrency internal import Dispatch
internal import Synchronization

/// Limits on what waits.
package struct WorkLimits: Sendable {
    /// Pieces of work in the queue; one more is refused as `.overloaded`.
    package var capacity: Int
    /// The longest wait for a thread; then the work is refused as `.unavailable`.
    package var maxWait: Duration

    package init(capacity: Int = 1024, maxWait: Duration = .seconds(10)) {
        self.capacity = capacity
        self.maxWait = maxWait
    }
}

/// A class, so that queues and batches move a reference. The queue is not generic: a generic type of another module
/// is not specialised, and looks up its metadata with each call.
package protocol QueuedWork: AnyObject, Sendable {
    /// Roughly the bytes it will send; bounds the size of a batch.
    var weight: Int { get }
    /// Whether it may not share a batch, as an interactive transaction.
    var isExclusive: Bool { get }
    /// Answers the caller without doing the work.
    func refuse(_ error: StorageError)
}

/// The waiting caller of one piece of work. Resumed exactly once.
package typealias Reply<Value: Sendable, Failure: Error> = CheckedContinuation<Result<Value, Failure>, Never>

/// A bounded first-in, first-out queue between tasks and an engine's threads.
package final class WorkQueue: Sendable {
    private let limits: WorkLimits
    private let state = Mutex(State())
    private let arrivals = DispatchSemaphore(value: 0)

    package init(limits: WorkLimits) {
        self.limits = limits
    }

    // MARK: - The callers' side

    /// Adds a transaction, and waits for the answer.
    package func submit(_ statements: [BoundStatement]) async -> Result<[SQLResult], StorageError> {
        let ticket = Ticket()
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { reply in
                let transaction = PendingTransaction(statements, reply)
                if let refused = enqueue(ticket, transaction) { transaction.refuse(refused) }
            }
        } onCancel: {
            cancel(ticket)
        }
    }

    /// Adds the work that `make` builds around the caller's reply, and waits for the answer.
    ///
    /// - Parameters:
    ///   - refusal: converts a refusal by the queue to the caller's error.
    ///   - make: builds the work around the caller's reply.
    /// - Returns: the engine's answer, or the refusal.
    package func submit<Value: Sendable, Failure: Error>(
        refusal: @Sendable (StorageError) -> Failure,
        _ make: @Sendable (Reply<Value, Failure>) -> any QueuedWork
    ) async -> Result<Value, Failure> {
        let ticket = Ticket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (reply: Reply<Value, Failure>) in
                if let refused = enqueue(ticket, make(reply)) { reply.resume(returning: .failure(refusal(refused))) }
            }
        } onCancel: {
            cancel(ticket)
        }
    }

    /// Takes over work that another queue has already admitted; it can no longer be cancelled.
    package func adopt(_ work: any QueuedWork) {
        if let refused = enqueue(Ticket(), work) { work.refuse(refused) }
    }

    package var depth: Int { state.withLock(\.waiting.count) }

    private func enqueue(_ ticket: Ticket, _ work: any QueuedWork) -> StorageError? {
        let entry = Entry(ticket: ticket, work: work, expires: ContinuousClock.now + limits.maxWait)
        let (refused, wakes, setTimer): (StorageError?, Bool, Bool) = state.withLock { state in
            guard !ticket.isCancelled.load(ordering: .relaxed) else { return (.cancelled, false, false) }
            guard !state.isClosed else { return (.unavailable(reason: "the database is closed"), false, false) }
            guard state.waiting.count < limits.capacity else { return (.overloaded, false, false) }
            state.waiting.append(entry)
            defer { state.timerIsSet = true }
            return (nil, state.wakesOne(), !state.timerIsSet)
        }
        if wakes { arrivals.signal() }
        if setTimer { self.setTimer(after: limits.maxWait) }
        return refused
    }

    private func cancel(_ ticket: Ticket) {
        let entry: Entry? = state.withLock { state in
            // Under the lock, so that `enqueue` either sees the mark or has already added the entry.
            ticket.isCancelled.store(true, ordering: .relaxed)
            return state.waiting.firstIndex { $0.ticket === ticket }.map { state.waiting.remove(at: $0) }
        }
        entry?.work.refuse(.cancelled)
    }

    // MARK: - The threads' side

    /// Blocks until there is work, and takes a batch, oldest first.
    ///
    /// - Parameters:
    ///   - count: the most pieces to take.
    ///   - weight: the most weight to take; a single heavier piece is a batch of its own.
    ///   - threads: how many threads share this queue; each leaves the others their share.
    /// - Returns: at least one piece, or `nil` once the queue is closed and empty.
    package func take(count: Int = 1, weight: Int = .max, sharedBy threads: Int = 1) -> [any QueuedWork]? {
        while true {
            let (taken, wakes): ([any QueuedWork]?, Bool) = state.withLock { state in
                if state.waiting.isEmpty {
                    if !state.isClosed { state.sleeping += 1 }
                    return (state.isClosed ? nil : [], false)
                }
                let share = (state.waiting.count + threads - 1) / threads
                let taken = state.take(count: min(count, share), weight: weight)
                // The thread that takes work wakes the next one, so that one arrival wakes one thread and not all.
                return (taken, state.waiting.isEmpty ? false : state.wakesOne())
            }
            if wakes { arrivals.signal() }
            guard let taken else { return nil }
            if !taken.isEmpty { return taken }
            arrivals.wait()
            state.withLock { $0.waking -= 1 }
        }
    }

    /// Admits nothing more; waiting work is still served.
    package func close() {
        let sleepers = state.withLock { state in
            state.isClosed = true
            defer {
                state.waking += state.sleeping
                state.sleeping = 0
            }
            return state.sleeping
        }
        for _ in 0..<sleepers { arrivals.signal() }
    }

    // MARK: - The limit on waiting

    /// All work waits equally long, so the oldest expires first and one timer serves all.
    private func setTimer(after delay: Duration) {
        let nanoseconds = Int(delay.wholeMicroseconds) * 1_000
        DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { [weak self] in
            self?.expire()
        }
    }

    private func expire() {
        let now = ContinuousClock.now
        let (expired, next): ([Entry], ContinuousClock.Instant?) = state.withLock { state in
            let count = state.waiting.firstIndex { $0.expires > now } ?? state.waiting.count
            let expired = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(count)
            state.timerIsSet = !state.waiting.isEmpty
            return (expired, state.waiting.first?.expires)
        }
        for entry in expired { entry.work.refuse(.unavailable(reason: "waited too long for a connection")) }
        if let next { setTimer(after: now.duration(to: next)) }
    }

    private final class Ticket: Sendable {
        let isCancelled = Atomic(false)
    }

    private struct Entry: Sendable {
        let ticket: Ticket
        let work: any QueuedWork
        let expires: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var waiting: Deque<Entry> = []
        var isClosed = false
        var timerIsSet = false
        /// Threads that found nothing and were not woken since.
        var sleeping = 0
        /// Threads that were woken and have not looked yet.
        var waking = 0

        /// Whether to wake a thread for waiting work. Not while a woken one is on its way, because that one takes
        /// everything in one batch.
        mutating func wakesOne() -> Bool {
            guard sleeping > 0, waking == 0 else { return false }
            sleeping -= 1
            waking += 1
            return true
        }

        mutating func take(count: Int, weight: Int) -> [any QueuedWork] {
            var taken: [any QueuedWork] = []
            taken.reserveCapacity(min(count, waiting.count))
            var sum = 0
            while taken.count < count, let work = waiting.first?.work {
                sum += work.weight
                if !taken.isEmpty, work.isExclusive || sum > weight { break }
                taken.append(work)
                waiting.removeFirst()
                if work.isExclusive { break }
            }
            return taken
        }
    }
}
