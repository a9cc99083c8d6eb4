// The queue in front of an engine's threads.
//
// Callers are tasks and may not block; engines are C libraries and do nothing else. Between them stands this
// queue: a task leaves its work and suspends, a thread of the engine takes what waits, often several pieces at
// once, and resumes the tasks when it is done.
//
// Three promises are kept here so that no engine has to: the queue is bounded (`.overloaded` beyond it), nobody
// waits longer than the limit (`.unavailable`), and a cancelled caller leaves the queue (`.cancelled`). All three
// concern work that still waits. Once a thread has taken it, only the engine knows what became of it.

package import DequeModule
@preconcurrency package import Dispatch
package import Synchronization

/// How much may wait, and how long.
package struct WorkLimits: Sendable {
    /// Pieces of work in the queue; one more is refused as `.overloaded`.
    package var capacity: Int
    /// The longest wait for a thread; after it the work is refused as `.unavailable`.
    package var maxWait: Duration

    package init(capacity: Int = 1024, maxWait: Duration = .seconds(10)) {
        self.capacity = capacity
        self.maxWait = maxWait
    }
}

/// What an engine puts in the queue.
package protocol QueuedWork: Sendable {
    /// Roughly the bytes it will send; bounds how much travels together.
    var weight: Int { get }
    /// True for work that may not share a batch, such as an interactive transaction.
    var isExclusive: Bool { get }
    /// Answers the caller without doing the work.
    func refuse(_ error: StorageError)
}

/// Where the caller of one piece of work waits. Resumed exactly once.
package typealias Reply<Value: Sendable, Failure: Error> = CheckedContinuation<Result<Value, Failure>, Never>

/// A bounded first-in, first-out line between tasks and an engine's threads.
package final class WorkQueue<Work: QueuedWork>: Sendable {
    @usableFromInline package let limits: WorkLimits
    @usableFromInline package let state = Mutex(State())
    @usableFromInline package let arrivals = DispatchSemaphore(value: 0)

    package init(limits: WorkLimits) {
        self.limits = limits
    }

    // MARK: - The callers' side

    /// Puts the work that `make` builds around the caller's reply in line and waits for the answer.
    ///
    /// - Parameters:
    ///   - refusal: how a refusal by the queue looks to this caller.
    ///   - make: builds the work around the caller's reply.
    /// - Returns: what the engine answered, or the refusal.
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

    /// How many pieces of work are in the queue.
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
            // Under the lock, so that `enqueue` either sees the mark or has put the entry where it is found here.
            ticket.isCancelled.store(true, ordering: .relaxed)
            return state.waiting.firstIndex { $0.ticket === ticket }.map { state.waiting.remove(at: $0) }
        }
        entry?.work.refuse(.cancelled)
    }

    // MARK: - The threads' side

    /// Blocks until there is work and takes what may travel together, oldest first.
    ///
    /// - Parameters:
    ///   - count: the most pieces to take.
    ///   - weight: the most weight to take; a single heavier piece travels alone.
    ///   - threads: how many threads draw from this queue; each leaves the others their share.
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
                // Whoever takes wakes the next, so that one arrival wakes one thread and not all of them.
                return (taken, state.waiting.isEmpty ? false : state.wakesOne())
            }
            if wakes { arrivals.signal() }
            guard let taken else { return nil }
            if !taken.isEmpty { return taken }
            arrivals.wait()
            state.withLock { $0.waking -= 1 }
        }
    }

    /// Admits nothing more; what waits is still served.
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

    /// Everyone waits equally long, so the oldest always expires first and one timer serves all.
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

    /// Identifies one submission.
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

        /// Threads that found nothing and were not called since.
        @usableFromInline package var sleeping = 0
        /// Threads that were called and have not looked yet.
        @usableFromInline package var waking = 0

        /// Whether to call a thread for what waits: not while one that was called is still on its way, because it
        /// takes everything that arrived meanwhile in one batch.
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
