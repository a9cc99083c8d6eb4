// What an access token says, once it is believed (RFC 9068 §2.2, and Tessera's own claims).
import OpenSSLCrypto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The claims of a verified access token.
public struct AccessTokenClaims: Sendable, Hashable {
    /// `iss`.
    public let issuer: String
    /// `sub`: the user's id, or `client_<id>` for a service.
    public let subject: String
    /// `aud`: the services the token is for.
    public let audience: [String]
    /// `exp`, in seconds since 1970.
    public let expiresAt: Int64
    /// `iat`, in seconds since 1970.
    public let issuedAt: Int64
    /// `jti`.
    public let tokenID: String
    /// `sid`: the session; `nil` for a service's token.
    public let sessionID: String?
    /// `client_id`.
    public let clientID: String
    /// `scope`, split at spaces.
    public let scope: [String]
    /// `role` of the user.
    public let role: String?
    /// `kind`: `user` or `guest`.
    public let kind: String?
    /// `ver`: the user's token version.
    public let userVersion: Int64?
    /// `gver`: the deployment's token version.
    public let globalVersion: Int64?
    /// `amr`: how the user proved who they are (RFC 8176).
    public let authenticationMethods: [String]
    /// `auth_time`, in seconds since 1970.
    public let authenticatedAt: Int64?
    /// `email_verified`.
    public let emailVerified: Bool?

    /// Whether a user stands behind the token. A service's token never passes for one.
    public var isUser: Bool { sessionID != nil && !subject.hasPrefix("client_") }

    /// Reads a JWT payload.
    init(payload: [UInt8]) throws(VerificationError) {
        let raw: Payload
        do {
            raw = try JSONDecoder().decode(Payload.self, from: Data(payload))
        } catch {
            throw VerificationError(.malformed)
        }
        guard let iss = raw.iss, let sub = raw.sub, let aud = raw.aud, let exp = raw.exp, let iat = raw.iat,
            let jti = raw.jti, let client = raw.client_id
        else { throw VerificationError(.missingClaim) }
        self.issuer = iss
        self.subject = sub
        self.audience = aud.values
        self.expiresAt = exp
        self.issuedAt = iat
        self.tokenID = jti
        self.sessionID = raw.sid
        self.clientID = client
        self.scope = raw.scope?.split(separator: " ").map(String.init) ?? []
        self.role = raw.role
        self.kind = raw.kind
        self.userVersion = raw.ver
        self.globalVersion = raw.gver
        self.authenticationMethods = raw.amr ?? []
        self.authenticatedAt = raw.auth_time
        self.emailVerified = raw.email_verified
    }
}

/// The JSON as it travels; names are the claims' own.
private struct Payload: Decodable {
    let iss: String?
    let sub: String?
    let aud: Audience?
    let exp: Int64?
    let iat: Int64?
    let jti: String?
    let sid: String?
    let client_id: String?
    let scope: String?
    let role: String?
    let kind: String?
    let ver: Int64?
    let gver: Int64?
    let amr: [String]?
    let auth_time: Int64?
    let email_verified: Bool?

    /// RFC 7519 §4.1.3: an array of strings, or one string.
    struct Audience: Decodable {
        let values: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let one = try? container.decode(String.self) {
                values = [one]
            } else {
                values = try container.decode([String].self)
            }
        }
    }
}
