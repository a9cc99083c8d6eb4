// The public keys of an issuer, as an immutable value that can be read without a lock.
package import OpenSSLCrypto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A JWK set (RFC 7517 §5), reduced to the keys that can verify access tokens.
public struct KeySet: Sendable {
    private let keys: [String: VerificationKey]

    /// Reads a JWK set document. Keys of unknown types, without `kid`, or not for signatures are passed over, as
    /// RFC 7517 §5 asks; a document that is no key set throws `.invalidKeySet`.
    public init(jwks: [UInt8]) throws(VerificationError) {
        struct Document: Decodable {
            let keys: [Element]

            struct Element: Decodable {
                let key: JWK?
                init(from decoder: any Decoder) throws { key = try? JWK(from: decoder) }
            }
        }
        do {
            let document = try JSONDecoder().decode(Document.self, from: Data(jwks))
            var keys: [String: VerificationKey] = [:]
            for jwk in document.keys.compactMap(\.key) {
                guard let kid = jwk.kid, jwk.use == nil || jwk.use == "sig" else { continue }
                if let key = try? VerificationKey(jwk: jwk) { keys[kid] = key }
            }
            self.keys = keys
        } catch {
            throw VerificationError(.invalidKeySet)
        }
    }

    package init(_ keys: [String: VerificationKey]) {
        self.keys = keys
    }

    /// The ids of the keys.
    public var keyIDs: [String] { keys.keys.sorted() }

    /// Whether there is no key at all.
    public var isEmpty: Bool { keys.isEmpty }

    subscript(kid: String) -> VerificationKey? { keys[kid] }
}
