// An issuer's public keys, as an immutable value: whoever holds it reads it without a lock.
package import OpenSSLCrypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The keys of a JWK set (RFC 7517 §5) that can verify access tokens.
public struct KeySet: Sendable {
    private let keys: [String: VerificationKey]

    /// Reads a JWK set.
    ///
    /// Keys of a type, curve, algorithm or use that is not known here are passed over, as RFC 7517 §5 asks, so that an
    /// issuer may add new kinds; so are keys without `kid`, which no token could name, and keys that carry private
    /// members. The result may hold no key.
    ///
    /// - Parameter jwks: the document, as UTF-8.
    /// - Throws: `.malformed` when the document is not a JWK set.
    public init(jwks: [UInt8]) throws(VerificationError) {
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(jwks))
        } catch {
            throw VerificationError(.malformed)
        }
        var keys: [String: VerificationKey] = [:]
        for jwk in document.keys.compactMap(\.jwk) {
            // Of two keys with one `kid` the first counts: the second can take nothing from it.
            guard let kid = jwk.kid, keys[kid] == nil, let key = try? VerificationKey(jwk: jwk) else { continue }
            keys[kid] = key
        }
        self.keys = keys
    }

    /// A set of keys by their ids, for a process that has them at hand.
    package init(_ keys: [String: VerificationKey]) {
        self.keys = keys
    }

    /// The ids of the keys, sorted.
    public var keyIDs: [String] { keys.keys.sorted() }

    /// Whether there is no key at all.
    public var isEmpty: Bool { keys.isEmpty }

    /// Whether a key has this id.
    ///
    /// - Parameter keyID: the `kid` of a token's header.
    /// - Returns: whether it is one of these.
    public func contains(_ keyID: String) -> Bool { keys[keyID] != nil }

    subscript(keyID: String) -> VerificationKey? { keys[keyID] }
}

/// The JSON document. A key that cannot even be decoded must not take the others with it.
private struct Document: Decodable {
    let keys: [Element]

    struct Element: Decodable {
        let jwk: JWK?

        init(from decoder: any Decoder) throws {
            jwk = try? JWK(from: decoder)
        }
    }
}
