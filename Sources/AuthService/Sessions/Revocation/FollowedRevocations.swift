// What was revoked, known in memory by following the event log: for tokens that this node is asked about thousands of
// times a second, by gateways and by introspection.
//
// It is the follower of every other service (TesseraVerifier's `FeedKnowledge`), without HTTP: the same events read by
// the statement that fills the feed, woken by the same hints. A start reads back as far as a living token could need.
// Then two things can make what is known here too old to judge by, and `check` says so instead of guessing; whoever
// asked then reads the session's row, which is always right:
//
// - The log was not read for a while: the database is away or slow, or the log turned out to be another.
// - This process has appended to the log itself and has not read it since. So a revocation that was answered here counts
//   here at once, not a notification later: `appended` is called before the unit's caller goes on.
//
// A hint comes at least every second, so a node that hears nothing has read the log within that second.
import Logging
import Metrics
import ServiceKit
import ServiceLifecycle
import Storage
import Synchronization
import TesseraVerifierHummingbird

final class FollowedRevocations: RevocationSource {
    private struct State {
        var knowledge: FeedKnowledge
        /// Where to read on; `nil` to begin anew.
        var cursor: EventCursor?
        /// Units of this process that may have appended to the log.
        var appends: UInt64 = 0
        /// How many of them had ended when the last read began.
        var appendsRead: UInt64 = 0
        var wake: AsyncStream<Void>.Continuation?
        var hasFailed = false
        /// How often in a row the log was begun anew.
        var begunAnew = 0

        func isCurrent(within patience: Duration) -> Bool {
            knowledge.isCurrent && appends == appendsRead && knowledge.heardAt + patience > .now
        }
    }

    private let clock: Clock
    private let logger: Logger
    /// How long a revocation is kept, and how old a token may be to be judged by it.
    private let lifetime: Int64
    private let patience: Duration
    private let state: Mutex<State>
    private let known = Gauge(label: "tessera_auth_revocations")
    private let current = Gauge(label: "tessera_auth_revocations_current")

    /// Events in one read.
    private static let chunk = 1000
    /// What tokens may be older than their own lifetime, by the clocks of other nodes.
    private static let leeway: Duration = .seconds(300)

    /// `patience`: from how long after the last good read of the log nothing is judged by it.
    init(clock: Clock, tokenLifetime: Duration, patience: Duration, logger: Logger) {
        self.clock = clock
        self.logger = logger
        self.lifetime = (tokenLifetime + Self.leeway).components.seconds
        self.patience = patience
        self.state = Mutex(State(knowledge: FeedKnowledge(lifetime: lifetime, now: .now)))
    }

    // MARK: Judging

    /// Whether tokens are judged from memory now.
    var isCurrent: Bool { state.withLock { $0.isCurrent(within: patience) } }

    /// Whether a follower is at its first reading.
    var isReadingFirst: Bool { state.withLock { $0.wake != nil && !$0.knowledge.wasEverCurrent } }

    func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
        let oldest = clock.now().seconds - lifetime
        let refusal = state.withLock { state -> VerificationError? in
            // Revocations from before the oldest are forgotten: a token of a longer lifetime, as it was configured then.
            guard state.isCurrent(within: patience), claims.issuedAt >= oldest else {
                return VerificationError(.revocationsUnavailable)
            }
            return state.knowledge.revocations.refusal(of: claims, keyID: keyID)
        }
        if let refusal { throw refusal }
    }

    // MARK: Following

    /// This process has run a unit that appends to the log, whatever became of it.
    func appended() {
        let wake = state.withLock { state in
            state.appends += 1
            return state.wake
        }
        wake?.yield()
    }

    /// Follows the log until the task is cancelled.
    ///
    /// `keysChanged`: reads the keys; called before anything else of a batch counts.
    /// `clientEnded`: a client was disabled or removed.
    func follow(
        _ log: EventLog,
        keysChanged: @escaping @Sendable () async throws -> Void,
        clientEnded: @escaping @Sendable (String) -> Void
    ) async {
        let (hints, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.wake = wake }
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await _ in log.database.changes(of: Events.log) { wake.yield() }
                wake.finish()
            }
            group.addTask {
                for await _ in hints { await self.readOn(log, keysChanged, clientEnded) }
            }
        }
        state.withLock { state in
            state.wake = nil
            state.knowledge.lose()
        }
        current.record(0)
    }

    private func readOn(
        _ log: EventLog,
        _ keysChanged: @Sendable () async throws -> Void,
        _ clientEnded: @Sendable (String) -> Void
    ) async {
        do {
            while try await !readPage(log, keysChanged, clientEnded) {}
        } catch {
            if Task.isCancelled { return }
            let isNews = state.withLock { state in
                state.knowledge.lose()
                defer { state.hasFailed = true }
                return !state.hasFailed
            }
            current.record(0)
            if isNews {
                logger.warning(
                    "revocations are not current; sessions are looked up meanwhile",
                    metadata: ["error": "\(error)"]
                )
            }
        }
    }

    /// Reads a page of what is new.
    ///
    /// - Returns: whether it was the last.
    private func readPage(
        _ log: EventLog,
        _ keysChanged: @Sendable () async throws -> Void,
        _ clientEnded: @Sendable (String) -> Void
    ) async throws -> Bool {
        // Before the read: whatever is committed from here on may be missing in it.
        let began = ContinuousClock.now
        let (known, appends) = state.withLock { ($0.cursor, $0.appends) }
        let cursor: EventCursor
        if let known {
            cursor = known
        } else {
            cursor = try await log.open(.since(.seconds(lifetime)), kinds: .all).cursor
        }
        let batch = try await log.read(after: cursor.seq, limit: Self.chunk)
        guard batch.state.reaches(cursor, .all) else {
            // Restored, or rewound: what is known may be of another history.
            let isAgain = state.withLock { state in
                state.knowledge.lose()
                state.knowledge.beginAnew()
                state.cursor = nil
                state.begunAnew += 1
                return state.begunAnew > 1
            }
            // Not for ever without a pause: the next hint tries again.
            if isAgain { throw VerificationError(.revocationsUnavailable) }
            return false
        }
        let keyKinds = [EventKind.keysRevoked.rawValue, EventKind.keysRotated.rawValue]
        if batch.events.contains(where: { keyKinds.contains($0.kind) }) { try await keysChanged() }
        let revocations = try batch.events.compactMap { try Revocation(kind: $0.kind, data: Array($0.data.utf8)) }
        for case .client(let id, _) in revocations { clientEnded(id) }
        let now = clock.now().seconds
        let (isNews, count) = state.withLock { state in
            state.cursor = EventCursor(epoch: cursor.epoch, seq: batch.events.last?.seq ?? cursor.seq)
            state.begunAnew = 0
            for revocation in revocations { state.knowledge.take(revocation, position: nil, now: now) }
            guard !batch.isFull else { return (false, 0) }
            state.knowledge.purge(now: now)
            state.knowledge.hear(at: began)
            state.appendsRead = appends
            state.hasFailed = false
            return (state.knowledge.catchUp(), state.knowledge.revocations.count)
        }
        if !batch.isFull {
            self.known.record(count)
            current.record(1)
        }
        if isNews { logger.info("revocations are current", metadata: ["known": "\(count)"]) }
        return !batch.isFull
    }
}

/// Keeps `FollowedRevocations` current until shutdown.
package struct RevocationFollowing: Service {
    let revocations: FollowedRevocations
    let log: EventLog
    let keys: SigningKeys
    /// Hears of clients that were disabled or removed.
    let clientEnded: @Sendable (String) -> Void

    /// Whether this node judges tokens from memory now.
    package var isCurrent: Bool { revocations.isCurrent }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await revocations.follow(log, keysChanged: { try await keys.reload() }, clientEnded: clientEnded)
                // The database was closed; a service that ends would take the others with it.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}
