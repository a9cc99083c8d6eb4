// A signing key: what is known of it, and a new one.
import OpenSSLCrypto
import ServiceKit
package import Storage

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
    /// The entry of the master ring that seals the private key; `nil` for bytes of another form.
    package let sealedBy: UInt8?

    init(_ row: Row) throws(StorageError) {
        kid = try row.text("kid")
        algorithm = try row.text("alg")
        state = try row.text("state")
        createdAt = try row.instant("created_at")
        activatedAt = try row.optionalInstant("activated_at")
        retiredAt = try row.optionalInstant("retired_at")
        sealedBy = MasterKeyRing.keyID(of: try row.bytes("private_key"))
    }
}

struct NewSigningKey: Sendable {
    let kid: String
    let algorithm: SigningAlgorithm
    let jwk: String
    /// Sealed with the master ring.
    let sealed: [UInt8]

    init(_ algorithm: SigningAlgorithm, sealedWith ring: MasterKeyRing) throws {
        let key = try SigningKey.generate(algorithm)
        var jwk = key.publicKey.jwk
        let kid = try jwk.thumbprint()
        jwk.kid = kid
        jwk.alg = algorithm.rawValue
        jwk.use = "sig"
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self.kid = kid
        self.algorithm = algorithm
        self.jwk = String(decoding: try encoder.encode(jwk), as: UTF8.self)
        self.sealed = try ring.seal(try key.pkcs8(), associatedData: Self.binding(kid))
    }

    /// Where the sealed bytes are stored.
    static func binding(_ kid: String) -> [UInt8] {
        Array("signing_keys/\(kid)/private_key".utf8)
    }
}

package enum SigningKeyError: Error, Sendable {
    /// This node has not read a key to sign with.
    case unavailable
    /// This node cannot open the key to sign with.
    case unopened(SigningKeyProblem)
    /// A published key with which this node cannot verify.
    case unreadable(kid: String)
    /// There is no current or no next key.
    case incomplete
    /// Some verifiers may not know the next key yet.
    case tooYoung
    case noSuchKey
    /// The current key is replaced, unless it is compromised.
    case isCurrent
    case fault(any Error)
}
