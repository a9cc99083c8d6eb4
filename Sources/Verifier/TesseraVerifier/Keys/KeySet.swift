package import OpenSSLCrypto

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The keys of a JWK set (RFC 7517 §5) that can verify access tokens. It is immutable, so readers need no lock.
public struct KeySet: Sendable {
    private let keys: [String: VerificationKey]

    /// Reads a JWK set.
    ///
    /// Keys of an unknown type, curve, algorithm or use are skipped, as RFC 7517 §5 requires, so that an issuer may add
    /// new kinds. Keys without `kid`, which no token can name, and keys with private members are skipped too. The
    /// result may be empty.
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
            // The first of two keys with one `kid` counts, so the second cannot replace it.
            guard let kid = jwk.kid, keys[kid] == nil, let key = try? VerificationKey(jwk: jwk) else { continue }
            keys[kid] = key
        }
        self.keys = keys
    }

    package init(_ keys: [String: VerificationKey]) {
        self.keys = keys
    }

    /// The ids of the keys, sorted.
    public var keyIDs: [String] { keys.keys.sorted() }

    /// Whether there is no key.
    public var isEmpty: Bool { keys.isEmpty }

    /// Whether a key has this id.
    ///
    /// - Parameter keyID: the `kid` of a token's header.
    /// - Returns: whether the set has such a key.
    public func contains(_ keyID: String) -> Bool { keys[keyID] != nil }

    subscript(keyID: String) -> VerificationKey? { keys[keyID] }
}

/// A key that cannot be decoded must not make the others unreadable.
private struct Document: Decodable {
    let keys: [Element]

    struct Element: Decodable {
        let jwk: JWK?

        init(from decoder: any Decoder) throws {
            jwk = try? JWK(from: decoder)
        }
    }
}
