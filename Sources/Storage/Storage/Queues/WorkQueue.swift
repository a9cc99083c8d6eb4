// The queue in front of an engine's threads.
//
// Callers are tasks and may not block; engines are C libraries that always block. So a task adds its work to this queue
// and suspends. A thread of the engine takes what waits, often several pieces at once, and resumes the tasks when it is
// done.
//
// The queue is bounded (`.overloaded` beyond it), the wait is bounded (`.unavailable`), and a cancelled caller leaves
// the queue (`.cancelled`). All three concern waiting work only. Once a thread has taken it, only the engine knows its
// outcome.

package import DequeModule
@preconcurrency package import Dispatch
package import Synchronization

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

package protocol QueuedWork: Sendable {
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
package final class WorkQueue<Work: QueuedWork>: Sendable {
    @usableFromInline package let limits: WorkLimits
    @usableFromInline package let state = Mutex(State())
    @usableFromInline package let arrivals = DispatchSemaphore(value: 0)

    package init(limits: WorkLimits) {
        self.limits = limits
    }

    // MARK: - The callers' side

    /// Adds the work that `make` builds around the caller's reply, and waits for the answer.
    ///
    /// - Parameters:
    ///   - refusal: converts a refusal by the queue to the caller's error.
    ///   - make: builds the work around the caller's reply.
    /// - Returns: the engine's answer, or the refusal.
    @inlinable
    package func submit<Value: Sendable, Failure: Error>(
        refusal: @Sendable (StorageError) -> Failure,
        _ make: @Sendable (Reply<Value, Failure>) -> Work
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
    @inlinable
    package func adopt(_ work: Work) {
        if let refused = enqueue(Ticket(), work) { work.refuse(refused) }
    }

    package var depth: Int { state.withLock(\.waiting.count) }

    @inlinable
    package func enqueue(_ ticket: Ticket, _ work: Work) -> StorageError? {
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

    @inlinable
    package func cancel(_ ticket: Ticket) {
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
    @inlinable
    package func take(count: Int = 1, weight: Int = .max, sharedBy threads: Int = 1) -> [Work]? {
        while true {
            let (taken, wakes): ([Work]?, Bool) = state.withLock { state in
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
    @usableFromInline
    package func setTimer(after delay: Duration) {
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

    @usableFromInline
    package final class Ticket: Sendable {
        @usableFromInline package let isCancelled = Atomic(false)

        @inlinable package init() {}
    }

    @usableFromInline
    package struct Entry: Sendable {
        @usableFromInline package let ticket: Ticket
        @usableFromInline package let work: Work
        @usableFromInline package let weight: Int
        @usableFromInline package let expires: ContinuousClock.Instant

        @inlinable
        package init(ticket: Ticket, work: Work, expires: ContinuousClock.Instant) {
            self.ticket = ticket
            self.work = work
            self.weight = work.weight
            self.expires = expires
        }
    }

    @usableFromInline
    package struct State: Sendable {
        @usableFromInline package var waiting: Deque<Entry> = []
        @usableFromInline package var isClosed = false
        @usableFromInline package var timerIsSet = false
        @inlinable package init() {}

        /// Threads that found nothing and were not woken since.
        @usableFromInline package var sleeping = 0
        /// Threads that were woken and have not looked yet.
        @usableFromInline package var waking = 0

        /// Whether to wake a thread for waiting work. Not while a woken one is on its way, because that one takes
        /// everything in one batch.
        @inlinable
        package mutating func wakesOne() -> Bool {
            guard sleeping > 0, waking == 0 else { return false }
            sleeping -= 1
            waking += 1
            return true
        }

        @inlinable
        package mutating func take(count: Int, weight: Int) -> [Work] {
            var taken: [Work] = []
            taken.reserveCapacity(min(count, waiting.count))
            var sum = 0
            while taken.count < count, let next = waiting.first {
                sum += next.weight
                if !taken.isEmpty, next.work.isExclusive || sum > weight { break }
                taken.append(next.work)
                waiting.removeFirst()
                if next.work.isExclusive { break }
            }
            return taken
        }
    }
}
