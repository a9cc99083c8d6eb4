// What the stream says of events that a service reads as pages: that there are some.
//
// A service that acts on events keeps its cursor in its own database, beside the effects, and reads pages from there
// (`EventPages`). With the stream that a `RevocationFeed` follows anyway it knows when to read, and asks for nothing
// while nothing happens. A hint may come twice. None is lost: the feed moves its position behind an event after the
// hint. A feed that has no position reads back, and says that there may be events of every kind.
import Synchronization

package final class EventNews: Sendable {
    private struct State {
        var unread: Set<String> = []
        /// When the issuer was heard from last; `nil` while the stream is not current.
        var heardAt: ContinuousClock.Instant?
        var position: String?
        var wake: (@Sendable () -> Void)?
    }

    /// What the stream is asked for besides revocations.
    package let kinds: [String]
    private let state = Mutex(State())

    package init(of kinds: [String]) {
        self.kinds = kinds
    }

    // MARK: - For those who read

    /// Calls `wake` with each hint; `nil` to stop.
    package func onHint(_ wake: (@Sendable () -> Void)?) {
        state.withLock { $0.wake = wake }
    }

    /// The kinds of which there may be unread events. Each hint is returned once.
    package func take() -> Set<String> {
        state.withLock { state in
            defer { state.unread = [] }
            return state.unread
        }
    }

    /// The moment up to which each event has had its hint; `nil` while the stream is not current.
    package var completeUntil: ContinuousClock.Instant? { state.withLock(\.heardAt) }

    /// Where the stream is, events of other kinds counted.
    package var position: String? { state.withLock(\.position) }

    // MARK: - For the feed

    package func heard(_ kind: String) {
        if kinds.contains(kind) { hint([kind]) }
    }

    /// The feed was read back and not taken up where it was: what came in between has had no hint.
    package func readBack() { hint(kinds) }

    /// Everything up to the position, and up to this moment, has had its hint.
    package func isComplete(at position: String?) {
        let wake = state.withLock { state in
            defer { (state.heardAt, state.position) = (.now, position) }
            // Hints from before are acted on when the stream is current.
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
