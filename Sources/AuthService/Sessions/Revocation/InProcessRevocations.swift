// The revocations in memory, by following the event log: for tokens that gateways and introspection ask about thousands
// of times a second.
//
// It holds what every other service holds (TesseraVerifier's `RevocationReplica`), without HTTP and woken by the same
// hints. A start reads back as far as a valid token could need. In two cases `check` reports that memory is too old,
// and the caller reads the session's row, which is always right:
//
// - The log was not read for a while: the database is unreachable or slow, or the log is another one.
// - This process has appended to the log and not read it since. So a revocation that this node answered takes effect
//   here at once: `appended` is called before the transaction's caller continues.
//
// A hint comes at least every second, so an idle node has read the log within that second.
import Logging
import Metrics
import ServiceKit
import ServiceLifecycle
import Storage
import Synchronization
import TesseraVerifierHummingbird

final class InProcessRevocations: RevocationSource {
    private struct State {
        var replica: RevocationReplica
        /// The position to resume at; `nil` to restart.
        var cursor: EventCursor?
        /// Transactions of this process that may have appended to the log.
        var appends: UInt64 = 0
        /// How many of them had ended when the last read began.
        var appendsRead: UInt64 = 0
        var wake: AsyncStream<Void>.Continuation?
        var hasFailed = false
        /// Consecutive restarts of the log.
        var begunAnew = 0

        func isCurrent(within maxLag: Duration) -> Bool {
            replica.isCurrent && appends == appendsRead && replica.heardAt + maxLag > .now
        }
    }

    private let clock: Clock
    private let logger: Logger
    /// How long a revocation is remembered, and the greatest age of a token that memory can judge.
    private let lifetime: Int64
    private let maxLag: Duration
    private let state: Mutex<State>
    private let known = Gauge(label: "tessera_auth_revocations")
    private let current = Gauge(label: "tessera_auth_revocations_current")

    private static let chunk = 1000
    /// For clock differences between nodes.
    private static let leeway: Duration = .seconds(300)

    /// `maxLag`: memory is too old when the last successful read is older.
    init(clock: Clock, tokenLifetime: Duration, maxLag: Duration, logger: Logger) {
        self.clock = clock
        self.logger = logger
        self.lifetime = (tokenLifetime + Self.leeway).components.seconds
        self.maxLag = maxLag
        self.state = Mutex(State(replica: RevocationReplica(lifetime: lifetime, now: .now)))
    }

    var isCurrent: Bool { state.withLock { $0.isCurrent(within: maxLag) } }

    var isReadingFirst: Bool { state.withLock { $0.wake != nil && !$0.replica.wasEverCurrent } }

    func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
        let oldest = clock.now().seconds - lifetime
        let refusal = state.withLock { state -> VerificationError? in
            // A token with a longer lifetime of an earlier configuration: its revocation may be forgotten.
            guard state.isCurrent(within: maxLag), claims.issuedAt >= oldest else {
                return VerificationError(.revocationsUnavailable)
            }
            return state.replica.revocations.refusal(of: claims, keyID: keyID)
        }
        if let refusal { throw refusal }
    }

    // MARK: Following

    /// This process has run a transaction that appends to the log, with any outcome.
    func appended() {
        let wake = state.withLock { state in
            state.appends += 1
            return state.wake
        }
        wake?.yield()
    }

    /// Follows the log until the task is cancelled.
    ///
    /// - `keysChanged`: refuses the compromised keys of these ids and reads the keys, before anything else of a batch
    ///   counts.
    /// - `clientEnded`: a client was disabled or removed.
    func follow(
        _ log: EventLog,
        keysChanged: @escaping @Sendable (_ revoked: [String]) async throws -> Void,
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
            state.replica.lose()
        }
        current.record(0)
    }

    private func readOn(
        _ log: EventLog,
        _ keysChanged: @Sendable ([String]) async throws -> Void,
        _ clientEnded: @Sendable (String) -> Void
    ) async {
        do {
            while try await !readPage(log, keysChanged, clientEnded) {}
        } catch {
            if Task.isCancelled { return }
            let isNews = state.withLock { state in
                state.replica.lose()
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

    /// Returns whether it was the last page.
    private func readPage(
        _ log: EventLog,
        _ keysChanged: @Sendable ([String]) async throws -> Void,
        _ clientEnded: @Sendable (String) -> Void
    ) async throws -> Bool {
        // Before the read: it may lack whatever commits from here on.
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
            // Restored or rewound: the knowledge may belong to another history.
            let isAgain = state.withLock { state in
                state.replica.lose()
                state.replica.beginAnew()
                state.cursor = nil
                state.begunAnew += 1
                return state.begunAnew > 1
            }
            // Avoids a busy loop: the next hint retries.
            if isAgain { throw VerificationError(.revocationsUnavailable) }
            return false
        }
        let keyKinds = [EventKind.keysRevoked.rawValue, EventKind.keysRotated.rawValue]
        let aboutKeys = batch.events.filter { keyKinds.contains($0.kind) }
        // SECURITY: whatever else of the batch cannot be read.
        let revokedKeys = aboutKeys.compactMap { event -> String? in
            guard case .key(let kid)? = try? Revocation(kind: event.kind, data: Array(event.data.utf8)) else {
                return nil
            }
            return kid
        }
        if !aboutKeys.isEmpty { try await keysChanged(revokedKeys) }
        let revocations = try batch.events.compactMap { try Revocation(kind: $0.kind, data: Array($0.data.utf8)) }
        for case .client(let id, _) in revocations { clientEnded(id) }
        let now = clock.now().seconds
        let (isNews, count) = state.withLock { state in
            state.cursor = EventCursor(epoch: cursor.epoch, seq: batch.events.last?.seq ?? cursor.seq)
            state.begunAnew = 0
            for revocation in revocations { state.replica.take(revocation, position: nil, now: now) }
            guard !batch.isFull else { return (false, 0) }
            state.replica.purge(now: now)
            state.replica.hear(at: began)
            state.appendsRead = appends
            state.hasFailed = false
            return (state.replica.catchUp(), state.replica.revocations.count)
        }
        if !batch.isFull {
            self.known.record(count)
            current.record(1)
        }
        if isNews { logger.info("revocations are current", metadata: ["known": "\(count)"]) }
        return !batch.isFull
    }
}

package struct RevocationFollowing: Service {
    let revocations: InProcessRevocations
    let log: EventLog
    let keys: SigningKeys
    /// Called for clients that were disabled or removed.
    let clientEnded: @Sendable (String) -> Void

    package var isCurrent: Bool { revocations.isCurrent }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await revocations.follow(
                    log,
                    keysChanged: { revoked in
                        keys.refuse(revoked)
                        try await keys.reload()
                    },
                    clientEnded: clientEnded
                )
                // The database was closed; a service that ends would stop the others.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }
}
