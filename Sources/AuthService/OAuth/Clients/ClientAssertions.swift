// `private_key_jwt`: a client authenticates with a token that it signed (RFC 7523 §3, OpenID Connect Core §9).
//
// No secret is sent: an assertion is for this server alone, lives at most five minutes, and works once. The key decides
// the algorithm, as for every token here (RFC 8725 §3.1).
import OpenSSLCrypto
import ServiceKit
import Storage

struct ClientAssertions: Sendable {
    let clients: Clients
    /// §3: "a value that identifies the authorization server".
    let issuer: RequestText
    /// For clients that are allowed to name it instead.
    let tokenEndpoint: RequestText

    private static let maxLifetime: Int64 = 300
    /// How far the client's clock may be ahead.
    private static let leeway: Int64 = 30

    /// An assertion of the right form, not yet verified.
    struct Candidate: Sendable {
        let clientID: String
        fileprivate let jws: ParsedJWS
        fileprivate let claims: JSONElement
    }

    func read(_ text: RequestText) throws(OAuthError) -> Candidate {
        guard let jws = try? JWS.parse(text.verbatim), let claims = try? JSONElement.parse(jws.payload),
            let issuer = claims["iss"]?.text, RowID.isValid(issuer), claims["sub"]?.text == issuer
        else { throw .invalidClient }
        return Candidate(clientID: issuer.verbatim, jws: jws, claims: claims)
    }

    /// Throws `invalid_client` unless a key of the client signed the assertion for this server and it is used in time
    /// and for the first time.
    func check(_ assertion: Candidate, of client: Client) async throws {
        guard let jwks = client.jwks, let keys = try? ClientKeys(jwks: jwks),
            keys.candidates(for: assertion.jws.header).contains(where: { assertion.jws.isSigned(by: $0) }),
            Self.isForThat(assertion.jws.header.typ)
        else { throw OAuthError.invalidClient }
        let claims = assertion.claims
        let now = clients.clock.now().seconds
        guard let end = claims["exp"]?.integer, now < end, end <= now + Self.maxLifetime + Self.leeway,
            Self.hasCome(claims["nbf"], now), Self.hasCome(claims["iat"], now),
            isForUs(claims["aud"], from: client),
            let jti = claims["jti"]?.text, (1...256).contains(jti.byteCount)
        else { throw OAuthError.invalidClient }
        // Last of all, so that only the client can use up an id.
        let first = try await clients.isFirstUse(ofAssertion: jti.verbatim, by: client.id, until: Instant(seconds: end))
        guard first else { throw OAuthError.invalidClient }
    }

    /// SECURITY: an access or id token that the client's key signed for another purpose is no assertion.
    private static func isForThat(_ type: String?) -> Bool {
        guard let type else { return true }
        switch RequestText(type).keyword {
        case "jwt", "client-authentication+jwt": return true
        default: return false
        }
    }

    private static func hasCome(_ claim: JSONElement?, _ now: Int64) -> Bool {
        guard let claim else { return true }
        guard let instant = claim.integer else { return false }
        return instant <= now + leeway
    }

    /// One text, equal to the issuer.
    ///
    /// SECURITY: CVE-2025-27370. A client that talks to several servers may be led to sign for one of them what another
    /// one named as its token endpoint, and a list could name both. An issuer is the one name that a client has from
    /// its own configuration.
    private func isForUs(_ claim: JSONElement?, from client: Client) -> Bool {
        guard let audience = claim?.text else { return false }
        return audience == issuer || client.allowsTokenEndpointAudience && audience == tokenEndpoint
    }
}
