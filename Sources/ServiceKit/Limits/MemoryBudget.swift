// How much memory the requests of a process may take at a time (decision 0034).
//
// A request takes what it is about to need. Without memory it waits a second, and is refused then: a process that grows
// until the system ends it serves no client. One owner, a person or a network, can take no more than a share.
import Metrics
import Synchronization

/// There was no memory within the time.
package struct MemoryExhausted: Error, Sendable, Hashable {
    package init() {}
}

/// Bytes that requests take and give back.
package final class MemoryBudget: Sendable {
    private struct Waiter {
        let id: UInt64
        let bytes: Int
        let owner: String
        let holding: Int
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var taken = 0
        var ofOwner: [String: Int] = [:]
        var waiting: [Waiter] = []
        var nextID: UInt64 = 0
        /// What the most modest of those that wait asks for.
        var smallestWish = Int.max
    }

    package let bytes: Int
    /// The most that one owner may take, but for one with a single request: what that needs is served.
    package let share: Int
    private let maxWait: Duration
    // Of the process; made with the first request, since settings are read before there are metrics.
    private static let gauge = Gauge(label: "tessera_memory_budget_taken_bytes")
    private static let refusals = Counter(label: "tessera_memory_budget_refusals_total")
    private let state = Mutex(State())

    package init(bytes: Int = 256 << 20, maxWait: Duration = .seconds(1)) {
        self.bytes = bytes
        share = max(bytes / 4, min(bytes / 2, 64 << 20))
        self.maxWait = maxWait
    }

    /// What is taken now.
    package var taken: Int { state.withLock { $0.taken } }

    /// How many requests wait.
    package var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// Takes what is free, without waiting. `holding`: what the request itself has already.
    package func takeNow(_ count: Int, for owner: String, holding: Int = 0) -> Bool {
        state.withLock { take(count, owner, holding, &$0) }
    }

    /// Takes memory, and waits for it.
    package func take(
        _ count: Int,
        for owner: String,
        holding: Int = 0,
        within maxWait: Duration? = nil
    ) async throws(MemoryExhausted) {
        if takeNow(count, for: owner, holding: holding) { return }
        guard count + holding <= bytes, await wait(count, owner, holding, maxWait ?? self.maxWait) else {
            Self.refusals.increment()
            throw MemoryExhausted()
        }
    }

    package func giveBack(_ count: Int, of owner: String) {
        let ready = state.withLock { state in
            state.taken -= count
            let left = state.ofOwner[owner, default: count] - count
            state.ofOwner[owner] = left > 0 ? left : nil
            Self.gauge.record(state.taken)
            return serve(&state)
        }
        for waiter in ready { waiter.continuation.resume(returning: true) }
    }

    // MARK: Waiting

    private func wait(_ count: Int, _ owner: String, _ holding: Int, _ maxWait: Duration) async -> Bool {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let end = ContinuousClock.now + maxWait
        let timer = Task {
            try await Task.sleep(until: end, clock: .continuous)
            giveUp(id)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = state.withLock { state in
                    // Something may have been given back meanwhile.
                    if take(count, owner, holding, &state) { return true }
                    // The timer has gone off before there was anything for it to end.
                    if ContinuousClock.now >= end { return false }
                    state.waiting.append(
                        Waiter(id: id, bytes: count, owner: owner, holding: holding, continuation: continuation)
                    )
                    state.smallestWish = min(state.smallestWish, count)
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
                if Task.isCancelled { giveUp(id) }
            }
        } onCancel: {
            giveUp(id)
        }
    }

    private func giveUp(_ id: UInt64) {
        let waiter = state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0) }
        }
        waiter?.continuation.resume(returning: false)
    }

    private func take(_ count: Int, _ owner: String, _ holding: Int, _ state: inout State) -> Bool {
        let own = state.ofOwner[owner, default: 0]
        guard state.taken + count <= bytes, own + count <= share || own == holding else { return false }
        state.taken += count
        state.ofOwner[owner] = own + count
        Self.gauge.record(state.taken)
        return true
    }

    /// Takes for those that wait what there is for them now, the oldest first. One that needs more than there is does
    /// not hold up the others: it is refused soon enough.
    private func serve(_ state: inout State) -> [Waiter] {
        guard !state.waiting.isEmpty, bytes - state.taken >= state.smallestWish else { return [] }
        var (ready, left): ([Waiter], [Waiter]) = ([], [])
        for waiter in state.waiting {
            if take(waiter.bytes, waiter.owner, waiter.holding, &state) {
                ready.append(waiter)
            } else {
                left.append(waiter)
            }
        }
        state.waiting = left
        state.smallestWish = left.map(\.bytes).min() ?? .max
        return ready
    }
}
