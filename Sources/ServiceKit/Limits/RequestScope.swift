// What one request has taken of the process, and for whom.
//
// It goes with the request's task, so that what reads a body or rows finds it without being handed it. It ends with the
// last reference: those of the middleware and of an answer's body that is still being written.
import Synchronization

/// A request's account and its memory.
package final class RequestScope: Sendable {
    /// Whom a request counts for.
    package enum Account: Sendable, Hashable {
        case person(String)
        /// A service with credentials of its own.
        case client
    }

    @TaskLocal package static var current: RequestScope?

    private struct State {
        var owner: String
        var account: Account?
        var taken = 0
        /// Of that, what the largest result takes that was read.
        var results = 0
        var verdict: RequestVerdict?
    }

    private let budget: MemoryBudget
    private let state: Mutex<State>

    /// `network`: the owner until the account is known.
    package init(budget: MemoryBudget, network: String) {
        self.budget = budget
        state = Mutex(State(owner: network))
    }

    deinit { settle(at: 0) }

    // MARK: Whose it is

    /// Whom the request was proved to come from.
    package var account: Account? { state.withLock { $0.account } }

    /// The owner of what the request takes.
    package var owner: String { state.withLock { $0.owner } }

    package func identify(_ account: Account) {
        state.withLock { state in
            state.account = account
            // What was taken is given back in the name in which it was taken.
            if case .person(let id) = account, state.taken == 0 { state.owner = id }
        }
    }

    /// What the request's limit has left.
    package var verdict: RequestVerdict? {
        get { state.withLock { $0.verdict } }
        set { state.withLock { $0.verdict = newValue } }
    }

    // MARK: Memory

    /// The most that a request can take beside others of its owner.
    package var largest: Int { budget.share }

    /// What the request has taken.
    package var taken: Int { state.withLock { $0.taken } }

    /// Takes as much as brings the request to so many bytes, or to the whole budget.
    package func take(upTo count: Int, within maxWait: Duration? = nil) async throws {
        let (missing, taken, owner) = state.withLock { (min(count, budget.bytes) - $0.taken, $0.taken, $0.owner) }
        guard missing > 0 else { return }
        try await budget.take(missing, for: owner, holding: taken, within: maxWait)
        state.withLock { $0.taken += missing }
    }

    /// Takes what a result needs beyond the results before it, which are gone by then; does not wait.
    package func takeNow(result count: Int) -> Bool {
        let (missing, taken, owner) = state.withLock { state in
            (min(count - state.results, budget.bytes - state.taken), state.taken, state.owner)
        }
        guard missing > 0 else { return true }
        guard budget.takeNow(missing, for: owner, holding: taken) else { return false }
        state.withLock { state in
            state.taken += missing
            state.results += missing
        }
        return true
    }

    /// As `takeNow(result:)`, but waits.
    package func take(result count: Int) async throws {
        let (missing, taken) = state.withLock { (count - $0.results, $0.taken) }
        guard missing > 0 else { return }
        try await take(upTo: taken + missing)
        state.withLock { $0.results = count }
    }

    /// Gives back all but so many bytes.
    package func settle(at count: Int) {
        let (surplus, owner) = state.withLock { state in
            let surplus = max(0, state.taken - count)
            state.taken -= surplus
            state.results = min(state.results, state.taken)
            return (surplus, state.owner)
        }
        if surplus > 0 { budget.giveBack(surplus, of: owner) }
    }
}

extension MemoryExhausted: DomainError {
    package var answer: any Error { APIError.retry(.memoryExhausted, afterSeconds: 1) }
}
