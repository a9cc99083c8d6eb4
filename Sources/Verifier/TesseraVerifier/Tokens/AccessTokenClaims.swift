// The claims of a verified token: those of RFC 9068 §2.2 and Tessera's own.
//
// Handlers see nothing but this value. It does not contain the token, so it can be logged, stored or forwarded without
// giving anyone the user's access. A verified token is cached and its claims serve every request that brings it, so a
// copy is one reference.

/// The claims of a verified access token.
public struct AccessTokenClaims: Sendable, Hashable {
    private let storage: Storage

    /// `iss`: the signer of the token.
    public var issuer: String { storage.fields.issuer }
    /// `sub`: the user's id, or `client_<id>` where a service acts for itself.
    public var subject: String { storage.fields.subject }
    /// `aud`: the services that the token is for.
    public var audience: [String] { storage.fields.audience }
    /// `exp`: from this second since 1970 the token is refused.
    public var expiresAt: Int64 { storage.fields.expiresAt }
    /// `iat`: when the token was made, in seconds since 1970.
    public var issuedAt: Int64 { storage.fields.issuedAt }
    /// `jti`: this token's id.
    public var tokenID: String { storage.fields.tokenID }
    /// `sid`: the session; `nil` for a service's own token.
    public var sessionID: String? { storage.fields.sessionID }
    /// `client_id`: the application that requested the token. The verifier requires it.
    public var clientID: String? { storage.fields.clientID }
    /// `scope`: one entry per scope.
    public var scope: [String] { storage.fields.scope }
    /// `role`: the user's role when the token was made.
    public var role: String? { storage.fields.role }
    /// `kind`: `user` or `guest`.
    public var kind: String? { storage.fields.kind }
    /// `ver`: the user's token version when the token was made.
    public var userVersion: Int64? { storage.fields.userVersion }
    /// `gver`: the deployment's token version when the token was made.
    public var globalVersion: Int64? { storage.fields.globalVersion }
    /// `amr`: how the user signed in (RFC 8176), for example `pwd`.
    public var authenticationMethods: [String] { storage.fields.authenticationMethods }
    /// `auth_time`: when the user signed in, in seconds since 1970.
    public var authenticatedAt: Int64? { storage.fields.authenticatedAt }
    /// `email_verified`: whether the user has proved to own the address.
    public var emailVerified: Bool? { storage.fields.emailVerified }

    /// Makes claims by hand, for a service's tests. A verifier never accepts them as a token.
    ///
    /// - Parameters:
    ///   - issuer: `iss`.
    ///   - subject: `sub`, a user's id or `client_<id>`.
    ///   - audience: `aud`.
    ///   - expiresAt: `exp`, in seconds since 1970.
    ///   - issuedAt: `iat`, in seconds since 1970.
    ///   - tokenID: `jti`.
    ///   - sessionID: `sid`; `nil` for a service.
    ///   - clientID: `client_id`.
    ///   - scope: `scope`.
    ///   - role: `role`.
    ///   - kind: `kind`, `user` or `guest`.
    ///   - userVersion: `ver`.
    ///   - globalVersion: `gver`.
    ///   - authenticationMethods: `amr` (RFC 8176).
    ///   - authenticatedAt: `auth_time`, in seconds since 1970.
    ///   - emailVerified: `email_verified`.
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
        let fields = Fields(
            issuer: issuer,
            subject: subject,
            audience: audience,
            expiresAt: expiresAt,
            issuedAt: issuedAt,
            tokenID: tokenID,
            sessionID: sessionID,
            clientID: clientID,
            scope: scope,
            role: role,
            kind: kind,
            userVersion: userVersion,
            globalVersion: globalVersion,
            authenticationMethods: authenticationMethods,
            authenticatedAt: authenticatedAt,
            emailVerified: emailVerified
        )
        self.storage = Storage(fields)
    }

    /// Whether the token belongs to a user. Users have sessions; the subject of a service's own token begins with
    /// `client_`.
    public var isUser: Bool { sessionID != nil && !subject.hasPrefix("client_") }

    /// Whether both have equal claims.
    public static func == (a: Self, b: Self) -> Bool { a.storage === b.storage || a.storage.fields == b.storage.fields }

    /// Hashes the claims.
    public func hash(into hasher: inout Hasher) { hasher.combine(storage.fields) }

    private struct Fields: Sendable, Hashable {
        var issuer: String
        var subject: String
        var audience: [String]
        var expiresAt: Int64
        var issuedAt: Int64
        var tokenID: String
        var sessionID: String?
        var clientID: String?
        var scope: [String]
        var role: String?
        var kind: String?
        var userVersion: Int64?
        var globalVersion: Int64?
        var authenticationMethods: [String]
        var authenticatedAt: Int64?
        var emailVerified: Bool?
    }

    private final class Storage: Sendable {
        let fields: Fields

        init(_ fields: Fields) {
            self.fields = fields
        }
    }

    private init(_ fields: Fields) {
        self.storage = Storage(fields)
    }

    /// The same claims, sharing memory with `other`. The tokens of one deployment differ mostly in numbers and ids.
    func sharing(with other: AccessTokenClaims) -> AccessTokenClaims {
        var fields = storage.fields
        let common = other.storage.fields
        func share<T: Equatable>(_ path: WritableKeyPath<Fields, T>) {
            if fields[keyPath: path] == common[keyPath: path] { fields[keyPath: path] = common[keyPath: path] }
        }
        share(\.issuer)
        share(\.audience)
        share(\.clientID)
        share(\.scope)
        share(\.role)
        share(\.authenticationMethods)
        return AccessTokenClaims(fields)
    }
}
