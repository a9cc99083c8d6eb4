// Signing keys: next → current → previous → retired.
//
// The JWKS has all but the retired. `next` is published at least 15 minutes before it signs, so that every verifier
// that honours the JWKS's max-age (5 minutes) knows it. `previous` stays for the longest token plus a minute. Private
// keys are sealed with the master ring, bound to table, row and column, so a copied row opens nothing.
//
// A compromised key is refused by its id from the event on. A node that cannot open the current key does not sign, and
// is not ready.
import Logging
import OpenSSLCrypto
import ServiceKit
package import Storage
import Synchronization
import TesseraVerifierHummingbird

package final class SigningKeys: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ring: RingRegistry
    let algorithm: SigningAlgorithm
    private let lifetime: Duration
    private let rotation: Duration
    let events: Events
    let audit: Audit
    private let logger: Logger

    private struct State {
        var snapshot = SigningKeySnapshot()
        /// Compromised keys, for as long as the process runs: a read that began earlier still shows them.
        var refused: Set<String> = []
        /// What was logged.
        var reported: String?
    }

    private let state = Mutex(State())

    /// How long a key is published before it signs.
    static let publicationLead: Duration = .seconds(15 * 60)

    init(
        database: any SQLDatabase,
        clock: Clock,
        configuration: AuthConfiguration,
        ring: RingRegistry,
        events: Events,
        audit: Audit,
        logger: Logger
    ) {
        self.database = database
        self.clock = clock
        self.ring = ring
        self.audit = audit
        self.logger = logger
        self.algorithm = configuration.signingAlgorithm
        self.lifetime = configuration.accessTokenLifetime
        self.rotation = configuration.keyRotation
        self.events = events
    }

    var published: SigningKeySnapshot { state.withLock(\.snapshot) }

    var verification: KeySet { state.withLock(\.snapshot.verification) }

    func signer() throws(SigningKeyError) -> JWSSigner {
        if let signer = state.withLock(\.snapshot.signer) { return signer }
        if let problem = published.problem { throw .unopened(problem) }
        throw .unavailable
    }

    /// For `/readyz`: whether this node can sign with the current key.
    func requireSigner() throws(SigningKeyError) { _ = try signer() }

    /// At the start: reads the keys, registers the ring and makes missing keys.
    ///
    /// - Parameter mustSign: whether a node that cannot open the current key refuses to start. Without it such a node
    ///   makes and registers nothing.
    /// - Throws: why the current key cannot be opened, `RingError`, or a fault.
    func start(mustSign: Bool) async throws {
        try await read()
        if let problem = published.problem {
            if mustSign { throw problem.cause }
            return
        }
        try await ring.register()
        try await reload()
    }

    /// Refuses compromised keys at once, whether or not the table can be read.
    func refuse(_ kids: [String]) {
        guard !kids.isEmpty else { return }
        state.withLock { state in
            state.refused.formUnion(kids)
            state.snapshot = state.snapshot.refusing(state.refused)
        }
    }

    /// Reads the table, and makes a missing current or next key.
    package func reload() async throws {
        try await read()
        let known = published
        let missing = [known.current == nil ? "current" : nil, known.next == nil ? "next" : nil].compactMap(\.self)
        guard !missing.isEmpty else { return }
        let now = clock.now()
        var transaction = Transaction()
        for state in missing {
            let activation = state == "current" ? now : nil
            let key = try NewSigningKey(algorithm, sealedWith: ring.ring)
            transaction.add(SigningKeyStatements.insert(key: key, state: state, activatedAt: activation, at: now))
        }
        _ = try await database.run(transaction)
        // Another node may have been first; the table decides for both.
        try await read()
    }

    /// Reads the table, retires expired keys, and rotates when due. Usually it is one read.
    package func maintain() async throws {
        let now = clock.now()
        try await reload()
        let known = published
        let (current, next, previous) = (known.current, known.next, known.previous)
        // The longest lifetime of a token; a minute covers clock differences.
        let spent = now - lifetime - .seconds(60)
        if previous.contains(where: { $0.retiredAt.map { $0 < spent } ?? false }) {
            _ = try await database.run(SigningKeyStatements.retireSpent(before: spent))
            try await read()
        }
        if let current, let next, (current.activatedAt ?? current.createdAt) + rotation <= now,
            Self.isKnown(next, besides: current, at: now), known.comingProblem == nil
        {
            try await promote(next, for: current, actor: nil, from: .maintenance, at: now)
        }
    }

    /// Whether every verifier knows the next key. It was published long enough ago, or together with the current one on
    /// a new deployment.
    static func isKnown(_ next: SigningKeyInfo, besides current: SigningKeyInfo, at now: Instant) -> Bool {
        next.createdAt <= current.createdAt || next.createdAt + publicationLead <= now
    }

    package func list() async throws(StorageError) -> [SigningKeyInfo] {
        try await database.run(SigningKeyStatements.everything()).rows.map { row throws(StorageError) in
            try SigningKeyInfo(row)
        }
    }

    func read() async throws {
        let rows = try await database.run(SigningKeyStatements.published()).rows
        let refused = state.withLock(\.refused)
        let fresh = SigningKeySnapshot(rows, algorithm: algorithm, ring: ring.ring, refusing: refused)
        let problem = fresh.problem ?? fresh.comingProblem
        let isNews = state.withLock { state in
            // What was refused while the rows were read.
            state.snapshot = state.refused == refused ? fresh : fresh.refusing(state.refused)
            defer { state.reported = problem?.description }
            return problem != nil && state.reported != problem?.description
        }
        if isNews, let problem { logger.error("a signing key cannot be opened", metadata: ["reason": "\(problem)"]) }
    }
}
