// How often a database that cannot be reached is tried again.
//
// All workers of a database share one pace: when one of them connects, the others may try at once. A worker with its
// own backoff would keep taking work from the shared queue and refusing it.

internal import Synchronization

/// Backoff with jitter: 50 ms, doubled up to 2 s.
final class ReconnectPace: Sendable {
    private struct State {
        var failures = 0
        var nextAttempt = ContinuousClock.now
    }

    private let state = Mutex(State())

    /// Whether the last failure is long enough ago. Until then callers fail fast, instead of queueing for a database
    /// that is down.
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
