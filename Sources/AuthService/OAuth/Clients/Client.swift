package import ServiceKit
package import Storage

/// A registered client (RFC 6749 §2): a service with a name, scopes and credentials.
package struct Client: Sendable {
    package let id: String
    package internal(set) var name: String
    /// For its tokens, and for auth's own endpoints.
    package internal(set) var scopes: [String]
    /// `aud` of its tokens. Its introspection reports tokens for other audiences as inactive.
    package internal(set) var audiences: [String]
    /// A JWK set, as given.
    package internal(set) var jwks: String?
    /// Whether its assertions may name the token endpoint as their audience, instead of the issuer.
    package internal(set) var allowsTokenEndpointAudience: Bool
    package internal(set) var secretCreatedAt: Instant?
    package internal(set) var previousSecretExpiresAt: Instant?
    package let createdAt: Instant
    /// Each change raises it, so a change can name the version that it expects.
    package internal(set) var updatedAt: Instant
    package internal(set) var disabledAt: Instant?
    /// Tokens that the client got before this are refused. It is never lowered, and outlives the client.
    var tokensValidFrom: Instant?
    /// A deleted client is a row with its id and `tokensValidFrom`, and without credentials.
    var deletedAt: Instant?
    var secretHash: [UInt8]?
    var previousSecretHash: [UInt8]?

    static let columns = """
        id, name, scopes, audiences, secret_hash, secret_created_at, previous_secret_hash, \
        previous_secret_expires_at, jwks, token_endpoint_audience, created_at, updated_at, disabled_at, \
        tokens_valid_from, deleted_at
        """

    init(_ row: Row) throws(StorageError) {
        self.id = try row.text("id")
        self.name = try row.text("name")
        self.scopes = try row.text("scopes").split(separator: " ").map(String.init)
        self.audiences = try row.text("audiences").split(separator: " ").map(String.init)
        self.secretHash = try row.optionalBytes("secret_hash")
        self.secretCreatedAt = try row.optionalInstant("secret_created_at")
        self.previousSecretHash = try row.optionalBytes("previous_secret_hash")
        self.previousSecretExpiresAt = try row.optionalInstant("previous_secret_expires_at")
        self.jwks = try row.optionalText("jwks")
        self.allowsTokenEndpointAudience = try row.boolean("token_endpoint_audience")
        self.createdAt = try row.instant("created_at")
        self.updatedAt = try row.instant("updated_at")
        self.disabledAt = try row.optionalInstant("disabled_at")
        self.tokensValidFrom = try row.optionalInstant("tokens_valid_from")
        self.deletedAt = try row.optionalInstant("deleted_at")
    }

    package var isDisabled: Bool { disabledAt != nil }

    /// `sub` of the client's own tokens. No user's id begins like this.
    package var subject: String { Self.subjectPrefix + id }

    static let subjectPrefix = "client_"

    /// The current secret, or the previous one until its date.
    func accepts(_ secret: ClientSecret, at now: Instant) -> Bool {
        if let secretHash, secret.matches(secretHash) { return true }
        guard let previousSecretHash, let end = previousSecretExpiresAt, now < end else { return false }
        return secret.matches(previousSecretHash)
    }

    /// `secret`: shown once, in the answer that made it.
    package func write(to writer: inout JSONWriter, secret: ClientSecret? = nil) {
        writer.object { writer in
            writer.field("id", id)
            writer.field("name", name)
            writer.field("scopes", scopes)
            writer.field("audiences", audiences)
            writer.field("jwks", raw: jwks ?? "null")
            writer.field("allow_token_endpoint_audience", allowsTokenEndpointAudience)
            if let secret { writer.field("secret", secret.text) }
            writer.field("secret_created_at", secretCreatedAt)
            writer.field("previous_secret_expires_at", previousSecretExpiresAt)
            writer.field("created_at", createdAt)
            writer.field("updated_at", updatedAt)
            writer.field("disabled_at", disabledAt)
        }
    }
}

enum ClientScope {
    static let events = "events"
    static let introspect = "introspect"

    static let all = [events, introspect]
}
