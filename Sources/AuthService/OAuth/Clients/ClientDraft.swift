import OpenSSLCrypto
package import ServiceKit
import Storage

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A client to be made, checked before it is stored.
package struct ClientDraft: Sendable {
    package var id: RequestText?
    package var name: RequestText
    package var scopes: [RequestText]
    package var audiences: [RequestText]
    /// A JWK set. A client with one gets no secret.
    package var jwks: String?
    package var allowsTokenEndpointAudience = false

    package init(
        id: RequestText? = nil,
        name: RequestText,
        scopes: [RequestText] = [],
        audiences: [RequestText] = [RequestText(AuthConfiguration.ownAudience)],
        jwks: String? = nil
    ) {
        self.id = id
        self.name = name
        self.scopes = scopes
        self.audiences = audiences
        self.jwks = jwks
    }

    func errors() -> [FieldError] {
        var errors = ClientRules.name(name) + ClientRules.scopes(scopes) + ClientRules.audiences(audiences)
        errors += ClientRules.agree(scopes: scopes, audiences: audiences)
        if let id { errors += ClientRules.id(id) }
        if let jwks { errors += ClientRules.jwks(jwks) }
        return errors
    }
}

/// `nil` and `absent` change nothing.
package struct ClientChange: Sendable {
    package var name: RequestText?
    package var scopes: [RequestText]?
    package var audiences: [RequestText]?
    package var jwks: Patch<String> = .absent
    package var isDisabled: Bool?
    package var allowsTokenEndpointAudience: Bool?

    package init() {}

    func apply(to client: inout Client, at now: Instant) {
        if let name { client.name = name.verbatim }
        if let scopes { client.scopes = scopes.map(\.verbatim) }
        if let audiences { client.audiences = audiences.map(\.verbatim) }
        if jwks.isPresent { client.jwks = jwks.value }
        if let allowsTokenEndpointAudience { client.allowsTokenEndpointAudience = allowsTokenEndpointAudience }
        if let isDisabled { client.disabledAt = isDisabled ? client.disabledAt ?? now : nil }
    }

    func errors(of client: Client) -> [FieldError] {
        var errors = name.map(ClientRules.name) ?? []
        errors += scopes.map(ClientRules.scopes) ?? []
        errors += audiences.map(ClientRules.audiences) ?? []
        errors += ClientRules.agree(
            scopes: scopes ?? client.scopes.map { RequestText($0) },
            audiences: audiences ?? client.audiences.map { RequestText($0) }
        )
        if let jwks = jwks.value { errors += ClientRules.jwks(jwks) }
        return errors
    }
}

enum ClientRules {
    static let maxWords = 50
    private static let maxKeys = 10
    private static let maxWordBytes = 1000
    static let maxJWKSBytes = 16 * 1024

    /// An id follows a prefix in `sub`, and precedes the colon of HTTP Basic (RFC 7617 §2).
    static func id(_ id: RequestText) -> [FieldError] {
        let fits = RowID.isValid(id) && id.byteCount <= 48 && !id.utf8.contains(UInt8(ascii: ":"))
        guard fits, id != RequestText(AuthConfiguration.firstPartyClient) else {
            return [
                FieldError("id", "invalid", "must be 1 to 48 letters, digits, dots, dashes or underscores, not tessera")
            ]
        }
        return []
    }

    static func name(_ name: RequestText) -> [FieldError] {
        guard !name.isBlank, !name.hasMore(scalarsThan: 200), !name.utf8.contains(0) else {
            return [FieldError("name", "invalid", "must have from 1 to 200 characters", .range(1...200))]
        }
        return []
    }

    /// RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
    static func scopes(_ scopes: [RequestText]) -> [FieldError] { words(scopes, "scopes", min: 0) }

    /// The same characters, for names or URLs (RFC 7519 §4.1.3).
    static func audiences(_ audiences: [RequestText]) -> [FieldError] { words(audiences, "audiences", min: 1) }

    /// Auth accepts only tokens for its own audience, whatever their scope.
    static func agree(scopes: [RequestText], audiences: [RequestText]) -> [FieldError] {
        let own = AuthConfiguration.ownAudience
        guard scopes.contains(RequestText(ClientScope.events)), !audiences.contains(RequestText(own)) else { return [] }
        return [FieldError("audiences", "invalid", "must hold \(own) for the scope \(ClientScope.events)")]
    }

    private static func words(_ words: [RequestText], _ field: String, min: Int) -> [FieldError] {
        guard (min...maxWords).contains(words.count), Set(words).count == words.count, words.allSatisfy(isWord) else {
            let detail = "must be \(min) to \(maxWords) different words without spaces and quotes"
            return [FieldError(field, "invalid", detail, .range(min...maxWords))]
        }
        // Every token of the client has them, and must fit into a header.
        guard words.reduce(words.count - 1, { $0 + $1.byteCount }) <= maxWordBytes else {
            let detail = "must be at most \(maxWordBytes) bytes together"
            return [FieldError(field, "too_long", detail, .atMost(maxWordBytes))]
        }
        return []
    }

    static func isWord(_ word: RequestText) -> Bool {
        (1...200).contains(word.byteCount)
            && word.utf8.allSatisfy {
                $0 == 0x21 || (0x23...0x5B).contains($0) || (0x5D...0x7E).contains($0)
            }
    }

    /// SECURITY: every key must be able to verify. A set with a private key has leaked, and is refused.
    static func jwks(_ text: String) -> [FieldError] {
        guard text.utf8.count <= maxJWKSBytes, let keys = try? ClientKeys(jwks: text) else {
            return [
                FieldError("jwks", "invalid", "must be a JWK set of public signature keys: ES256, EdDSA or RS256")
            ]
        }
        guard (1...maxKeys).contains(keys.all.count) else {
            return [FieldError("jwks", "out_of_range", "must hold 1 to \(maxKeys) keys", .range(1...maxKeys))]
        }
        return []
    }
}

struct ClientKeys {
    let all: [VerificationKey]

    private struct Document: Decodable { let keys: [JWK] }

    init(jwks: String) throws {
        all = try JSONDecoder().decode(Document.self, from: Data(jwks.utf8)).keys.map { try VerificationKey(jwk: $0) }
    }

    /// The key that the header names, or all if it names none.
    func candidates(for header: JWSHeader) -> [VerificationKey] {
        guard let kid = header.kid else { return all }
        return all.filter { $0.jwk.kid == kid }
    }
}
