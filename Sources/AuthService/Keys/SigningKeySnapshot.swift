// What a node knows of the signing keys, from one read of the table.
//
// Each row is read by itself: a key that this node cannot open, or cannot read at all, takes nothing from the others.
import OpenSSLCrypto
import ServiceKit
import Storage
import TesseraVerifierHummingbird

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

struct SigningKeySnapshot: Sendable {
    private(set) var signer: JWSSigner?
    /// Of the configured algorithm.
    private(set) var current: SigningKeyInfo?
    private(set) var next: SigningKeyInfo?
    /// Published keys that no longer sign, of any algorithm.
    private(set) var previous: [SigningKeyInfo] = []
    private(set) var verification = KeySet([:])
    /// Published keys with which this node cannot verify, although another program may.
    private(set) var unreadable: Set<String> = []
    /// Why this node cannot sign with the current key.
    private(set) var problem: SigningKeyProblem?
    /// Why this node could not sign with the next key.
    private(set) var comingProblem: SigningKeyProblem?
    private var published: [(kid: String, jwk: String)] = []
    private var verificationKeys: [String: VerificationKey] = [:]
    /// RFC 7517 §5.
    private(set) var jwks = JSONWriter()

    init() {}

    /// `refused`: ids of compromised keys, which are left out whatever the rows say.
    init(_ rows: [Row], algorithm: SigningAlgorithm, ring: MasterKeyRing, refusing refused: Set<String>) {
        for row in rows {
            guard let kid = try? row.text("kid"), !refused.contains(kid) else { continue }
            add(row, kid, algorithm, ring)
        }
        publish()
    }

    /// The same without these keys, which neither sign nor verify from now on.
    func refusing(_ kids: Set<String>) -> SigningKeySnapshot {
        var snapshot = self
        if let kid = current?.kid, kids.contains(kid) {
            snapshot.current = nil
            snapshot.signer = nil
            snapshot.problem = nil
        }
        if let kid = next?.kid, kids.contains(kid) { snapshot.next = nil }
        snapshot.previous.removeAll { kids.contains($0.kid) }
        snapshot.published.removeAll { kids.contains($0.kid) }
        for kid in kids { snapshot.verificationKeys[kid] = nil }
        snapshot.unreadable.subtract(kids)
        snapshot.publish()
        return snapshot
    }

    private mutating func add(_ row: Row, _ kid: String, _ algorithm: SigningAlgorithm, _ ring: MasterKeyRing) {
        if let text = try? row.text("public_jwk"), let jwk = try? JSONDecoder().decode(JWK.self, from: Data(text.utf8))
        {
            published.append((kid, text))
            verificationKeys[kid] = try? VerificationKey(jwk: jwk)
        }
        if verificationKeys[kid] == nil { unreadable.insert(kid) }
        guard let info = try? SigningKeyInfo(row) else { return }
        if info.state == "previous" { previous.append(info) }
        guard info.algorithm == algorithm.rawValue else { return }
        switch info.state {
        case "current":
            current = info
            do {
                // RFC 9068 §2.1: the type prevents confusion with other tokens of this key.
                signer = JWSSigner(type: "at+jwt", keyID: kid, key: try Self.open(row, kid, algorithm, ring))
            } catch {
                problem = SigningKeyProblem(kid: kid, state: "current", cause: error)
            }
        case "next":
            next = info
            do { _ = try Self.open(row, kid, algorithm, ring) } catch {
                comingProblem = SigningKeyProblem(kid: kid, state: "next", cause: error)
            }
        default: break
        }
    }

    private static func open(_ row: Row, _ kid: String, _ algorithm: SigningAlgorithm, _ ring: MasterKeyRing) throws
        -> SigningKey
    {
        let pkcs8 = try ring.open(try row.bytes("private_key"), associatedData: NewSigningKey.binding(kid))
        return try SigningKey(pkcs8: pkcs8, algorithm: algorithm)
    }

    private mutating func publish() {
        verification = KeySet(verificationKeys)
        jwks = JSONWriter.object { writer in
            writer.array("keys") { writer in
                for key in published { writer.raw(key.jwk) }
            }
        }
    }
}

/// A stored key that this node cannot sign with.
package struct SigningKeyProblem: Sendable, CustomStringConvertible {
    let kid: String
    let state: String
    package let cause: any Error

    /// For operators; it names no more than the key set and refresh tokens show.
    package var description: String {
        switch cause {
        case CryptoError.unknownKey(let id):
            "the \(state) signing key \(kid) is sealed with the master key \(Hex.encode([id])), which this node lacks"
        default: "the \(state) signing key \(kid) cannot be opened by this node"
        }
    }
}
