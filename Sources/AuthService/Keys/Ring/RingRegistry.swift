// This node's master ring among those of the others.
//
// Each node registers the entries of its ring before it makes anything with them. So an id in a token has one of three
// meanings here:
//
// - This node holds the entry: it judges the token.
// - Another living entry is registered: a node that holds it can judge the token. This one answers 503 `key_unknown`.
// - No living entry has the id: the token is good nowhere.
//
// A withdrawn entry is good nowhere either, also on a node that still holds it: each node reads the table every five
// seconds.
import OpenSSLCrypto
import ServiceKit
import Storage
import Synchronization

package final class RingRegistry: Sendable {
    private struct State {
        /// As of the last read.
        var entries: [RingEntry] = []
        var startedAt: Instant?
        var seenAt: Instant?
        /// A read that has begun, and one that begins after it.
        var running: Task<[RingEntry], any Error>?
        var coming: Task<[RingEntry], any Error>?
    }

    private let database: any SQLDatabase
    private let clock: Clock
    private let audit: Audit
    let ring: MasterKeyRing
    private let node: String
    private let name: String
    private let state = Mutex(State())

    /// How often a node says that it runs.
    static let beat: Duration = .seconds(60)
    /// A node that was not seen for so long does not run.
    static let maxSilence: Duration = .seconds(180)
    /// How long such a node is shown.
    static let nodeRetention: Duration = .seconds(3600)
    static let maxNodes = 256

    init(
        database: any SQLDatabase,
        clock: Clock,
        ring: MasterKeyRing,
        node: String,
        name: String,
        audit: Audit
    ) {
        self.database = database
        self.clock = clock
        self.ring = ring
        self.node = node
        self.name = String(name.unicodeScalars.prefix(100).filter { $0.value > 0x20 && $0.value < 0x7F })
        self.audit = audit
    }

    // MARK: Judging ids

    /// Whether nothing of this id may be judged with this node's key, although it holds one.
    func isWithdrawn(_ keyID: UInt8) -> Bool {
        guard let key = ring.key(id: keyID) else { return false }
        return state.withLock { $0.entries.contains { !$0.isLiving && $0.isOf(key) } }
    }

    /// Throws if a living entry has this id that this node does not hold.
    ///
    /// - Throws: `RingError.heldElsewhere`, or a fault.
    func requireUnregistered(_ keyID: UInt8) async throws(RingError) {
        let entries: [RingEntry]
        do { entries = try await freshEntries() } catch { throw .fault(error) }
        let held = ring.key(id: keyID)
        let isElsewhere = entries.contains { entry in
            entry.isLiving && entry.keyID == keyID && held.map { !entry.isOf($0) } ?? true
        }
        if isElsewhere { throw .heldElsewhere(keyID: keyID) }
    }

    /// The result of a read that begins after this call: a node registers its entries before it issues a token, so such
    /// a read sees the entry of any token that exists.
    ///
    /// SECURITY: anyone can send ids. All that wait share one read, and one runs at a time.
    private func freshEntries() async throws -> [RingEntry] {
        let task = state.withLock { state in
            if let coming = state.coming { return coming }
            let running = state.running
            let task = Task {
                _ = await running?.result
                self.state.withLock { state in
                    state.running = state.coming
                    state.coming = nil
                }
                return try await self.read()
            }
            state.coming = task
            return task
        }
        return try await task.value
    }

    @discardableResult
    func read() async throws(StorageError) -> [RingEntry] {
        let rows = try await database.run(RingStatements.entries()).rows
        let entries = try rows.map { row throws(StorageError) in try RingEntry(row) }
        state.withLock { $0.entries = entries }
        return entries
    }

    // MARK: Registering

    /// Before the node makes anything with its ring. It writes only what is not registered.
    func register() async throws(RingError) {
        try await RingError.catching {
            var entries = try await read()
            let missing = ring.keys.filter { key in !entries.contains { $0.isOf(key) } }
            if !missing.isEmpty {
                let now = clock.now()
                var transaction = Transaction()
                for key in missing {
                    transaction.add(RingStatements.register(key: key, at: now))
                    transaction.add(
                        audit.entry(
                            action: "ring.register",
                            ifRingEntry: key.id,
                            fingerprint: key.fingerprint,
                            changedAt: now,
                            from: .commandLine,
                            details: .change(before: nil) { RingEntry.write(key, state: "registered", to: &$0) },
                            at: now
                        )
                    )
                }
                _ = try await database.run(transaction)
                entries = try await read()
            }
            if let key = ring.keys.first(where: { key in !entries.contains { $0.isOf(key) } }) {
                throw RingError.idTaken(keyID: key.id)
            }
            try requirePrimary()
        }
    }

    /// Whether new tokens of this node would be good, as of the last read.
    func requirePrimary() throws(RingError) {
        if isWithdrawn(ring.primary.id) { throw .primaryWithdrawn(keyID: ring.primary.id) }
    }

    /// Entries of this node's ring that were withdrawn: they can leave it.
    package var withdrawn: [UInt8] { ring.keys.map(\.id).filter { isWithdrawn($0) } }

    /// At the start of a node that serves: registers it, and records which entry is for new tokens if that changed.
    func join() async throws {
        let now = clock.now()
        let entries = try await read()
        let primary = ring.primary
        let before = entries.filter { $0.primaryAt != nil }.max { ($0.primaryAt ?? now) < ($1.primaryAt ?? now) }
        var transaction = beating(at: now, since: now)
        if before.map({ !$0.isOf(primary) }) ?? true {
            transaction.add(RingStatements.becomePrimary(key: primary, at: now))
            transaction.add(
                audit.entry(
                    action: "ring.primary",
                    ifRingEntry: primary.id,
                    fingerprint: primary.fingerprint,
                    changedAt: now,
                    from: .commandLine,
                    details: .change(
                        before: before.map { entry in { entry.write(state: "primary", to: &$0) } },
                        after: { RingEntry.write(primary, state: "primary", to: &$0) }
                    ),
                    at: now
                )
            )
        }
        _ = try await database.run(transaction)
        state.withLock { state in
            state.startedAt = now
            state.seenAt = now
        }
    }

    /// Reads the entries, and says that the node runs when it is time.
    func maintain() async throws {
        try await read()
        let now = clock.now()
        let start = state.withLock { state -> Instant? in
            guard let start = state.startedAt, let seen = state.seenAt, seen + Self.beat <= now else { return nil }
            state.seenAt = now
            return start
        }
        if let start { _ = try await database.run(beating(at: now, since: start)) }
    }

    /// At the end of a node that serves.
    func leave() async {
        _ = try? await database.run(RingStatements.leave(node: node))
    }

    private func beating(at now: Instant, since start: Instant) -> Transaction {
        Transaction([
            RingStatements.seen(node: node, name: name, ring: ring, startedAt: start, at: now),
            RingStatements.forgetNodes(before: now - Self.nodeRetention, keeping: Self.maxNodes),
        ])
    }
}

extension RingEntry {
    func isOf(_ key: MasterKey) -> Bool { keyID == key.id && fingerprint == key.fingerprint }

    /// For an audit row.
    func write(state: StaticString, to writer: inout JSONWriter) {
        Self.write(keyID, fingerprint, "\(state)", to: &writer)
    }

    static func write(_ key: MasterKey, state: StaticString, to writer: inout JSONWriter) {
        write(key.id, key.fingerprint, "\(state)", to: &writer)
    }

    private static func write(_ id: UInt8, _ fingerprint: String, _ state: String, to writer: inout JSONWriter) {
        writer.field("key", Hex.encode([id]))
        writer.field("fingerprint", fingerprint)
        writer.field("state", state)
    }
}
