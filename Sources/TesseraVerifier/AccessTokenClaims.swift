// What an access token says once it is believed: the claims of RFC 9068 §2.2 and Tessera's own.
//
// Handlers see nothing but this value. It holds no token, so that it can be logged, stored or sent on without handing
// anyone the means to act as the user.

/// The claims of a verified access token.
public struct AccessTokenClaims: Sendable, Hashable {
    /// `iss`: who signed the token.
    public var issuer: String
    /// `sub`: the user's id, or `client_<id>` where a service acts for itself.
    public var subject: String
    /// `aud`: the services that the token is for.
    public var audience: [String]
    /// `exp`: the second, since 1970, from which on the token is refused.
    public var expiresAt: Int64
    /// `iat`: when the token was made, in seconds since 1970.
    public var issuedAt: Int64
    /// `jti`: this token's own id.
    public var tokenID: String
    /// `sid`: the session that the token was made for; `nil` where there is none, as for a service.
    public var sessionID: String?
    /// `client_id`: the application that asked for the token. The verifier accepts no token without one.
    public var clientID: String?
    /// `scope`: what the token may be used for, one entry a scope.
    public var scope: [String]
    /// `role`: the user's role when the token was made.
    public var role: String?
    /// `kind`: `user` or `guest`.
    public var kind: String?
    /// `ver`: the user's token version when the token was made.
    public var userVersion: Int64?
    /// `gver`: the deployment's token version when the token was made.
    public var globalVersion: Int64?
    /// `amr`: how the user signed in (RFC 8176), for example `pwd`.
    public var authenticationMethods: [String]
    /// `auth_time`: when the user signed in, in seconds since 1970.
    public var authenticatedAt: Int64?
    /// `email_verified`: whether the user has proved that their address is theirs.
    public var emailVerified: Bool?

    /// Makes claims by hand, for the tests of a service that reads them. A verifier never takes these for a token.
    public init(
        issuer: String,
        subject: String,
        audience: [String],
        expiresAt: Int64,
        issuedAt: Int64,
        tokenID: String,
        sessionID: String? = nil,
        clientID: String? = nil,
        scope: [String] = [],
        role: String? = nil,
        kind: String? = nil,
        userVersion: Int64? = nil,
        globalVersion: Int64? = nil,
        authenticationMethods: [String] = [],
        authenticatedAt: Int64? = nil,
        emailVerified: Bool? = nil
    ) {
        self.issuer = issuer
        self.subject = subject
        self.audience = audience
        self.expiresAt = expiresAt
        self.issuedAt = issuedAt
        self.tokenID = tokenID
        self.sessionID = sessionID
        self.clientID = clientID
        self.scope = scope
        self.role = role
        self.kind = kind
        self.userVersion = userVersion
        self.globalVersion = globalVersion
        self.authenticationMethods = authenticationMethods
        self.authenticatedAt = authenticatedAt
        self.emailVerified = emailVerified
    }

    /// Whether a user stands behind the token. Users have sessions; the subject of a service's own token begins with
    /// `client_`, and such a token never passes where a user is required.
    public var isUser: Bool { sessionID != nil && !subject.hasPrefix("client_") }
}
