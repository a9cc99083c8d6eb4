// Access tokens: short-lived JWTs (RFC 9068) that any service verifies with the JWKS.
import OpenSSLCrypto
import ServiceKit
import Storage

package struct AccessToken: Sendable {
    package let token: String
    /// Seconds, for `expires_in` (RFC 6749 §5.1).
    package let expiresIn: Int64
}

package struct AccessTokens: Sendable {
    let keys: SigningKeys
    let lifetime: Duration
    let random: RandomSource
    let audiences: TokenAudiences
    /// `iss` as JSON, and `aud` of a token for every audience: the same in every token.
    private let issuer: String
    private let allAudiences: String

    init(keys: SigningKeys, issuer: String, audiences: [String], lifetime: Duration, random: RandomSource) {
        self.keys = keys
        self.lifetime = lifetime
        self.random = random
        self.issuer = JSONWriter.value { $0.string(issuer) }
        self.audiences = TokenAudiences(all: audiences)
        self.allAudiences = Self.json(audiences)
    }

    private static func json(_ audiences: [String]) -> String {
        JSONWriter.value { writer in
            writer.array { writer in
                for audience in audiences { writer.string(audience) }
            }
        }
    }

    /// `iat`. A client whose tokens have just been ended gets new ones at once: they are dated at the second from which
    /// its tokens are good, half a minute ahead at most, which verifiers allow (`Events.clientTokensEnd`).
    private static func issued(at now: Instant, notBefore valid: Instant?) -> Int64 {
        max(now.seconds, valid?.seconds ?? .min)
    }

    /// The token never outlives the session, and is for no audience that the session is not for.
    func issue(for state: SessionState, client: TokenClient = .firstParty, at now: Instant) throws -> AccessToken {
        let signer = try keys.signer()
        let end = min(now.seconds + jittered(lifetime.components.seconds), state.session.absoluteExpiresAt.seconds)
        let audience = state.session.audience ?? client.audience
        let claims = JSONWriter.object { writer in
            writer.field("iss", raw: issuer)
            writer.field("sub", state.user.id)
            writer.field("aud", raw: audience.map { Self.json([$0]) } ?? allAudiences)
            writer.field("exp", end)
            writer.field("iat", Self.issued(at: now, notBefore: client.tokensValidFrom))
            writer.field("jti", Base64URL.encode(random.bytes(12)))
            writer.field("sid", state.session.id)
            writer.field("client_id", client.id)
            writer.field("scope", "")
            writer.field("role", state.user.role.rawValue)
            writer.field("kind", state.user.kind)
            writer.field("ver", state.user.tokenVersion)
            // The session's, which equals the deployment's while the session lives.
            writer.field("gver", state.session.globalVersion)
            writer.field("amr", state.session.amr)
            writer.field("auth_time", state.session.authTime.seconds)
            writer.field("email_verified", state.user.emailVerifiedAt != nil)
        }
        return AccessToken(token: try signer.sign(claims.bytes), expiresIn: end - now.seconds)
    }

    /// A client's own token has no session and no role. Its subject is the client (RFC 9068 §2.2), so it is refused
    /// where a user is required.
    func issue(
        forClient id: String,
        subject: String,
        audiences: [String],
        scopes: [String],
        validFrom: Instant?,
        at now: Instant
    ) throws -> AccessToken {
        let signer = try keys.signer()
        let end = now.seconds + jittered(lifetime.components.seconds)
        let claims = JSONWriter.object { writer in
            writer.field("iss", raw: issuer)
            writer.field("sub", subject)
            writer.field("aud", audiences)
            writer.field("exp", end)
            writer.field("iat", Self.issued(at: now, notBefore: validFrom))
            writer.field("jti", Base64URL.encode(random.bytes(12)))
            writer.field("client_id", id)
            writer.field("scope", scopes.joined(separator: " "))
        }
        return AccessToken(token: try signer.sign(claims.bytes), expiresIn: end - now.seconds)
    }

    /// Up to 5 % less, so that clients that logged in together do not refresh together.
    private func jittered(_ seconds: Int64) -> Int64 {
        let maxReduction = seconds / 20
        guard maxReduction > 0 else { return seconds }
        let bytes = random.bytes(2)
        return seconds - (Int64(bytes[0]) << 8 | Int64(bytes[1])) % (maxReduction + 1)
    }
}
