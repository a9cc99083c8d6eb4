// Signing keys: next → current → previous → retired.
//
// The JWKS has all but the retired. `next` is published at least 15 minutes before it signs, so that every verifier
// that honours the JWKS's max-age (5 minutes) knows it. `previous` stays for the longest token plus a minute. Private
// keys are sealed with the master ring, bound to table, row and column, so a copied row opens nothing.
import OpenSSLCrypto
import ServiceKit
package import Storage
import Synchronization
import TesseraVerifierHummingbird

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

package struct SigningKeyInfo: Sendable {
    package let kid: String
    package let algorithm: String
    package let state: String
    package let createdAt: Instant
    package let activatedAt: Instant?
    package let retiredAt: Instant?
}

struct NewSigningKey: Sendable {
    let kid: String
    let algorithm: SigningAlgorithm
    let jwk: String
    /// Sealed with the master ring.
    let sealed: [UInt8]
}

package enum SigningKeyError: Error, Sendable {
    /// This node has not read a key to sign with.
    case unavailable
    /// There is no current or no next key.
    case incomplete
    /// Some verifiers may not know the next key yet.
    case tooYoung
    case noSuchKey
    /// The current key is replaced, unless it is compromised.
    case isCurrent
    case fault(any Error)
}

package final class SigningKeys: Sendable {

    struct Snapshot: Sendable {
        var signer: JWSSigner?
        /// Of the configured algorithm.
        var current: SigningKeyInfo?
        var next: SigningKeyInfo?
        /// Published keys that no longer sign, of any algorithm.
        var previous: [SigningKeyInfo] = []
        var verification = KeySet([:])
        /// RFC 7517 §5.
        var jwks = JSONWriter()
    }

    private let database: any SQLDatabase
    private let clock: Clock
    private let ring: MasterKeyRing
    private let algorithm: SigningAlgorithm
    private let lifetime: Duration
    private let rotation: Duration
    private let events: Events
    private let snapshot = Mutex(Snapshot())

    /// How long a key is published before it signs.
    static let publicationLead: Duration = .seconds(15 * 60)

    init(database: any SQLDatabase, clock: Clock, configuration: AuthConfiguration, events: Events) {
        self.database = database
        self.clock = clock
        self.ring = configuration.masterKeys
        self.algorithm = configuration.signingAlgorithm
        self.lifetime = configuration.accessTokenLifetime
        self.rotation = configuration.keyRotation
        self.events = events
    }

    var published: Snapshot { snapshot.withLock { $0 } }

    var verification: KeySet { snapshot.withLock(\.verification) }

    func signer() throws(SigningKeyError) -> JWSSigner {
        guard let signer = snapshot.withLock(\.signer) else { throw .unavailable }
        return signer
    }

    /// Reads the table, and makes a missing current or next key.
    package func reload() async throws {
        try await read()
        let missing = snapshot.withLock {
            [$0.current == nil ? "current" : nil, $0.next == nil ? "next" : nil].compactMap(\.self)
        }
        guard !missing.isEmpty else { return }
        let now = clock.now()
        var transaction = Transaction()
        for state in missing {
            let activation = state == "current" ? now : nil
            transaction.add(
                SigningKeyStatements.insert(key: try make(), state: state, activatedAt: activation, at: now)
            )
        }
        _ = try await database.run(transaction)
        // Another node may have been first; the table decides for both.
        try await read()
    }

    /// Reads the table, retires expired keys, and rotates when due. Usually it is one read.
    package func maintain() async throws {
        let now = clock.now()
        try await reload()
        let (current, next, previous) = snapshot.withLock { ($0.current, $0.next, $0.previous) }
        // The longest lifetime of a token; a minute covers clock differences.
        let spent = now - lifetime - .seconds(60)
        if previous.contains(where: { $0.retiredAt.map { $0 < spent } ?? false }) {
            _ = try await database.run(SigningKeyStatements.retireSpent(before: spent))
            try await read()
        }
        if let current, let next, (current.activatedAt ?? current.createdAt) + rotation <= now,
            Self.isKnown(next, besides: current, at: now)
        {
            try await promote(next.kid, at: now)
        }
    }

    package func rotate() async throws(SigningKeyError) {
        try await SigningKeyError.catching {
            try await reload()
            let now = clock.now()
            let (current, next) = snapshot.withLock { ($0.current, $0.next) }
            guard let current, let next else { throw SigningKeyError.incomplete }
            guard Self.isKnown(next, besides: current, at: now) else {
                throw SigningKeyError.tooYoung
            }
            try await promote(next.kid, at: now)
        }
    }

    /// Whether every verifier knows the next key. It was published long enough ago, or together with the current one on
    /// a new deployment.
    private static func isKnown(_ next: SigningKeyInfo, besides current: SigningKeyInfo, at now: Instant) -> Bool {
        next.createdAt <= current.createdAt || next.createdAt + publicationLead <= now
    }

    /// Removes a key from the JWKS at once. A compromised current key is replaced by the next one in the same
    /// transaction, even if that is too new, so that there is always a signing key.
    package func retire(_ kid: String, compromised: Bool) async throws(SigningKeyError) {
        try await SigningKeyError.catching {
            try await reload()
            let now = clock.now()
            guard let key = try await list().first(where: { $0.kid == kid && $0.state != "retired" }) else {
                throw SigningKeyError.noSuchKey
            }
            var transaction = Transaction()
            if key.state == "current", key.algorithm == algorithm.rawValue {
                guard compromised, let next = snapshot.withLock(\.next) else {
                    throw SigningKeyError.isCurrent
                }
                try addPromotion(of: next.kid, at: now, to: &transaction)
            }
            transaction.add(SigningKeyStatements.retire(kid: kid, at: now))
            transaction.add(events.keyRevoked(kid: kid, at: now))
            _ = try await database.run(transaction)
            try await reload()
        }
    }

    package func list() async throws -> [SigningKeyInfo] {
        try await database.run(SigningKeyStatements.everything()).rows.map { try Self.info($0) }
    }

    private func promote(_ kid: String, at now: Instant) async throws {
        var transaction = Transaction()
        try addPromotion(of: kid, at: now, to: &transaction)
        _ = try await database.run(transaction)
        try await read()
    }

    /// Promotes the next key and inserts a new one.
    private func addPromotion(of kid: String, at now: Instant, to transaction: inout Transaction) throws {
        transaction.add(SigningKeyStatements.demoteCurrent(of: algorithm, for: kid, at: now))
        transaction.add(SigningKeyStatements.promote(next: kid, of: algorithm, at: now))
        transaction.add(SigningKeyStatements.insertNext(key: try make(), afterPromotionOf: kid, at: now))
        transaction.add(events.keyRotated(kid: kid, at: now))
    }

    private func read() async throws {
        let rows = try await database.run(SigningKeyStatements.published()).rows
        var fresh = Snapshot()
        var verification: [String: VerificationKey] = [:]
        let jwks = try JSONWriter.object { writer in
            try writer.array("keys") { writer in
                for row in rows {
                    let info = try Self.info(row)
                    let jwk = try row.text("public_jwk")
                    writer.raw(jwk)
                    verification[info.kid] = try Self.verificationKey(jwk)
                    if info.state == "previous" { fresh.previous.append(info) }
                    guard info.algorithm == algorithm.rawValue else { continue }
                    if info.state == "current" {
                        fresh.current = info
                        let sealed = try row.bytes("private_key")
                        let pkcs8 = try ring.open(sealed, associatedData: Self.binding(info.kid))
                        // RFC 9068 §2.1: the type prevents confusion with other tokens of this key.
                        fresh.signer = JWSSigner(
                            type: "at+jwt",
                            keyID: info.kid,
                            key: try SigningKey(pkcs8: pkcs8, algorithm: algorithm)
                        )
                    }
                    if info.state == "next" { fresh.next = info }
                }
            }
        }
        fresh.jwks = jwks
        fresh.verification = KeySet(verification)
        let read = fresh
        snapshot.withLock { $0 = read }
    }

    private func make() throws -> NewSigningKey {
        let key = try SigningKey.generate(algorithm)
        var jwk = key.publicKey.jwk
        let kid = try jwk.thumbprint()
        jwk.kid = kid
        jwk.alg = algorithm.rawValue
        jwk.use = "sig"
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let text = String(decoding: try encoder.encode(jwk), as: UTF8.self)
        let sealed = try ring.seal(try key.pkcs8(), associatedData: Self.binding(kid))
        return NewSigningKey(kid: kid, algorithm: algorithm, jwk: text, sealed: sealed)
    }

    private static func binding(_ kid: String) -> [UInt8] {
        Array("signing_keys/\(kid)/private_key".utf8)
    }

    private static func verificationKey(_ jwk: String) throws -> VerificationKey {
        try VerificationKey(jwk: try JSONDecoder().decode(JWK.self, from: Data(jwk.utf8)))
    }

    private static func info(_ row: Row) throws(StorageError) -> SigningKeyInfo {
        SigningKeyInfo(
            kid: try row.text("kid"),
            algorithm: try row.text("alg"),
            state: try row.text("state"),
            createdAt: try row.instant("created_at"),
            activatedAt: try row.optionalInstant("activated_at"),
            retiredAt: try row.optionalInstant("retired_at")
        )
    }
}
