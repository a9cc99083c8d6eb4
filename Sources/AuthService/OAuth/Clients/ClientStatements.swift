import OpenSSLCrypto
import ServiceKit
import Storage

enum ClientStatements {
    private static let byID = Statement(
        "clients.by_id",
        .reads,
        ["id": .text],
        "SELECT \(Client.columns) FROM clients WHERE id = :id"
    )

    /// A deleted client's row too.
    static func find(id: String) -> BoundStatement { byID.bind(["id": id]) }

    private static let everything = Statement(
        "clients.list",
        .reads,
        "SELECT \(Client.columns) FROM clients WHERE deleted_at IS NULL ORDER BY created_at, id"
    )

    /// Clients are dozens, made by hand.
    static func list() -> BoundStatement { everything.bind() }

    private static let insert = Statement(
        "clients.insert",
        .writes,
        [
            "id": .text, "name": .text, "scopes": .text, "audiences": .text, "secret_hash": .bytes,
            "secret_created": .instant, "jwks": .text, "token_endpoint": .boolean, "now": .instant,
        ],
        """
        INSERT INTO clients (
            id, name, scopes, audiences, secret_hash, secret_created_at, jwks, token_endpoint_audience, created_at,
            updated_at)
        VALUES (
            :id, :name, :scopes, :audiences, :secret_hash, :secret_created, :jwks, :token_endpoint, :now, :now)
        ON CONFLICT (id) DO UPDATE SET
            name = excluded.name, scopes = excluded.scopes, audiences = excluded.audiences,
            secret_hash = excluded.secret_hash, secret_created_at = excluded.secret_created_at,
            previous_secret_hash = NULL, previous_secret_expires_at = NULL, jwks = excluded.jwks,
            token_endpoint_audience = excluded.token_endpoint_audience, created_at = excluded.created_at,
            updated_at = excluded.updated_at, disabled_at = NULL, deleted_at = NULL
        WHERE clients.deleted_at IS NOT NULL
        RETURNING \(Client.columns)
        """
    )

    /// Zero rows if the id is taken. A deleted client's id is free; `tokens_valid_from` stays.
    static func insert(draft: ClientDraft, id: String, secret: ClientSecret?, at now: Instant) -> BoundStatement {
        insert.bind([
            "id": id, "name": draft.name, "scopes": draft.scopes.map(\.verbatim).joined(separator: " "),
            "audiences": draft.audiences.map(\.verbatim).joined(separator: " "), "secret_hash": secret?.hash,
            "secret_created": secret.map { _ in now }, "jwks": draft.jwks,
            "token_endpoint": draft.allowsTokenEndpointAudience, "now": now,
        ])
    }

    private static let replace = Statement(
        "clients.replace",
        .writes,
        [
            "id": .text, "seen": .instant, "name": .text, "scopes": .text, "audiences": .text, "secret_hash": .bytes,
            "secret_created": .instant, "previous_hash": .bytes, "previous_end": .instant, "jwks": .text,
            "token_endpoint": .boolean, "disabled": .instant, "tokens_from": .instant, "deleted": .instant,
            "now": .instant,
        ],
        """
        UPDATE clients SET
            name = :name, scopes = :scopes, audiences = :audiences, secret_hash = :secret_hash,
            secret_created_at = :secret_created, previous_secret_hash = :previous_hash,
            previous_secret_expires_at = :previous_end, jwks = :jwks, token_endpoint_audience = :token_endpoint,
            disabled_at = :disabled, tokens_valid_from = :tokens_from, deleted_at = :deleted, updated_at = :now
        WHERE id = :id AND updated_at = :seen AND deleted_at IS NULL
        """
    )

    /// Zero rows affected if the client changed since `before` was read.
    static func replace(before: Client, with after: Client) -> BoundStatement {
        replace.bind([
            "id": before.id, "seen": before.updatedAt, "name": after.name,
            "scopes": after.scopes.joined(separator: " "), "audiences": after.audiences.joined(separator: " "),
            "secret_hash": after.secretHash, "secret_created": after.secretCreatedAt,
            "previous_hash": after.previousSecretHash, "previous_end": after.previousSecretExpiresAt,
            "jwks": after.jwks, "token_endpoint": after.allowsTokenEndpointAudience, "disabled": after.disabledAt,
            "tokens_from": after.tokensValidFrom, "deleted": after.deletedAt, "now": after.updatedAt,
        ])
    }

    private static let useAssertion = Statement(
        "clients.use_assertion",
        .writes,
        ["client": .text, "jti": .text, "end": .instant],
        """
        INSERT INTO client_assertions (client_id, jti, expires_at) VALUES (:client, :jti, :end)
        ON CONFLICT (client_id, jti) DO NOTHING
        """
    )

    /// Zero rows affected if the assertion was used before, so one of several concurrent requests succeeds.
    static func useAssertion(jti: String, of client: String, until end: Instant) -> BoundStatement {
        useAssertion.bind(["client": client, "jti": jti, "end": end])
    }

    private static let deleteExpiredAssertions = Statement(
        "clients.delete_expired_assertions",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM client_assertions WHERE (client_id, jti) IN (
            SELECT client_id, jti FROM client_assertions WHERE expires_at < :before ORDER BY expires_at LIMIT :limit)
        """
    )

    /// A minute after their end no node accepts them, even with a slow clock.
    static let cleanup = CleanupStep("client_assertions") {
        deleteExpiredAssertions.bind(["before": $0 - .seconds(60), "limit": $1])
    }

    static let all = [byID, everything, insert, replace, useAssertion, deleteExpiredAssertions]
}
