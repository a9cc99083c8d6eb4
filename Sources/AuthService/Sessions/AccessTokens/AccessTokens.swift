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
    /// `iss` and `aud` as JSON: the same in every token.
    private let issuer: String
    private let audiences: String

    init(keys: SigningKeys, issuer: String, audiences: [String], lifetime: Duration, random: RandomSource) {
        self.keys = keys
        self.lifetime = lifetime
        self.random = random
        self.issuer = JSONWriter.value { $0.string(issuer) }
        self.audiences = JSONWriter.value { writer in
            writer.array { writer in
                for audience in audiences { writer.string(audience) }
            }
        }
    }

    /// The token never outlives the session.
    func issue(for state: SessionState, clientID: String = AuthConfiguration.firstPartyClient, at now: Instant) throws
        -> AccessToken
    {
        let signer = try keys.signer()
        let issued = now.seconds
        let end = min(issued + jittered(lifetime.components.seconds), state.session.absoluteExpiresAt.seconds)
        let claims = JSONWriter.object { writer in
            writer.field("iss", raw: issuer)
            writer.field("sub", state.user.id)
            writer.field("aud", raw: audiences)
            writer.field("exp", end)
            writer.field("iat", issued)
            writer.field("jti", Base64URL.encode(random.bytes(12)))
            writer.field("sid", state.session.id)
            writer.field("client_id", clientID)
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
        return AccessToken(token: try signer.sign(claims.bytes), expiresIn: end - issued)
    }

    /// A client's own token has no session and no role. Its subject is the client (RFC 9068 §2.2), so it is refused
    /// where a user is required.
    func issue(
        forClient id: String,
        subject: String,
        audiences: [String],
        scopes: [String],
        at now: Instant
    ) throws -> AccessToken {
        let signer = try keys.signer()
        let issued = now.seconds
        let end = issued + jittered(lifetime.components.seconds)
        let claims = JSONWriter.object { writer in
            writer.field("iss", raw: issuer)
            writer.field("sub", subject)
            writer.field("aud", audiences)
            writer.field("exp", end)
            writer.field("iat", issued)
            writer.field("jti", Base64URL.encode(random.bytes(12)))
            writer.field("client_id", id)
            writer.field("scope", scopes.joined(separator: " "))
        }
        return AccessToken(token: try signer.sign(claims.bytes), expiresIn: end - issued)
    }

    /// Up to 5 % less, so that clients that logged in together do not refresh together.
    private func jittered(_ seconds: Int64) -> Int64 {
        let maxReduction = seconds / 20
        guard maxReduction > 0 else { return seconds }
        let bytes = random.bytes(2)
        return seconds - (Int64(bytes[0]) << 8 | Int64(bytes[1])) % (maxReduction + 1)
    }
}
