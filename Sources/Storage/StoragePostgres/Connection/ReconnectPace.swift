// How often a database that cannot be reached is tried again.
//
// All workers of a database share one pace. When one of them gets through, the others may try at once: a worker that
// went on refusing at its own pace would take work from the line of its siblings that are connected again, and refuse
// it.

internal import Synchronization

/// Backoff with jitter: 50 ms, doubled up to 2 s.
final class ReconnectPace: Sendable {
    private struct State {
        var failures = 0
        var nextAttempt = ContinuousClock.now
    }

    private let state = Mutex(State())

    /// Whether the last failure is long enough ago. Callers fail fast until then, instead of queueing up behind a
    /// database that is down.
    var allowsAttempt: Bool { state.withLock { ContinuousClock.now >= $0.nextAttempt } }

    func succeeded() {
        state.withLock { $0 = State() }
    }

    func failed() {
        state.withLock { state in
            state.failures += 1
            let ceiling = min(2_000, 50 << min(state.failures - 1, 6))
            // With jitter, so that many processes do not return at the same moment.
            state.nextAttempt = .now + .milliseconds(Int.random(in: ceiling / 2...ceiling))
        }
    }
}
