// Hints from the stream that there are events to read as pages.
//
// A service that acts on events stores its cursor in its own database, beside the effects, and reads pages from there
// (`EventPages`). The stream that a `RevocationFeed` follows anyway shows when to read, so an idle service makes no
// requests. A hint may come twice. None is lost: the feed moves its position behind an event only after the hint. A
// feed without a position reads back, and hints at events of every kind.
import Synchronization

package final class EventNews: Sendable {
    private struct State {
        var unread: Set<String> = []
        /// When the issuer last sent something; `nil` while the stream is not current.
        var heardAt: ContinuousClock.Instant?
        var position: String?
        var wake: (@Sendable () -> Void)?
    }

    /// The kinds that the stream includes besides revocations.
    package let kinds: [String]
    private let state = Mutex(State())

    package init(of kinds: [String]) {
        self.kinds = kinds
    }

    // MARK: - For readers

    /// Calls `wake` with each hint; `nil` to stop.
    package func onHint(_ wake: (@Sendable () -> Void)?) {
        state.withLock { $0.wake = wake }
    }

    /// The kinds that may have unread events. Each hint is returned once.
    package func take() -> Set<String> {
        state.withLock { state in
            defer { state.unread = [] }
            return state.unread
        }
    }

    /// Every event up to this moment has had its hint; `nil` while the stream is not current.
    package var completeUntil: ContinuousClock.Instant? { state.withLock(\.heardAt) }

    /// The stream's position, which also counts events of other kinds.
    package var position: String? { state.withLock(\.position) }

    // MARK: - For the feed

    package func heard(_ kind: String) {
        if kinds.contains(kind) { hint([kind]) }
    }

    /// The feed was read back instead of resumed, so the events in between had no hint.
    package func readBack() { hint(kinds) }

    /// Every event up to the position and this moment has had its hint.
    package func isComplete(at position: String?) {
        let wake = state.withLock { state in
            defer { (state.heardAt, state.position) = (.now, position) }
            // Earlier hints are handled once the stream is current.
            return state.heardAt == nil ? state.wake : nil
        }
        wake?()
    }

    /// The stream has ended.
    package func lost() {
        state.withLock { $0.heardAt = nil }
    }

    private func hint(_ kinds: [String]) {
        let wake = state.withLock { state in
            state.unread.formUnion(kinds)
            return state.wake
        }
        wake?()
    }
}
