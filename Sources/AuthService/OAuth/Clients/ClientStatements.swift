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

    static func find(id: String) -> BoundStatement { byID.bind(["id": id]) }

    private static let everything = Statement(
        "clients.list",
        .reads,
        "SELECT \(Client.columns) FROM clients ORDER BY created_at, id"
    )

    /// Clients are dozens, made by hand.
    static func list() -> BoundStatement { everything.bind() }

    private static let insert = Statement(
        "clients.insert",
        .writes,
        [
            "id": .text, "name": .text, "scopes": .text, "audiences": .text, "secret_hash": .bytes,
            "secret_created": .instant, "jwks": .text, "now": .instant,
        ],
        """
        INSERT INTO clients (
            id, name, scopes, audiences, secret_hash, secret_created_at, jwks, created_at, updated_at)
        VALUES (:id, :name, :scopes, :audiences, :secret_hash, :secret_created, :jwks, :now, :now)
        ON CONFLICT (id) DO NOTHING
        RETURNING \(Client.columns)
        """
    )

    /// Zero rows if the id is taken.
    static func insert(draft: ClientDraft, id: String, secret: ClientSecret?, at now: Instant) -> BoundStatement {
        insert.bind([
            "id": id, "name": draft.name, "scopes": draft.scopes.map(\.verbatim).joined(separator: " "),
            "audiences": draft.audiences.map(\.verbatim).joined(separator: " "), "secret_hash": secret?.hash,
            "secret_created": secret.map { _ in now }, "jwks": draft.jwks, "now": now,
        ])
    }

    private static let update = Statement(
        "clients.update",
        .writes,
        [
            "id": .text, "name": .text, "scopes": .text, "audiences": .text, "sets_jwks": .boolean, "jwks": .text,
            "disabled": .boolean, "now": .instant, "tokens_end": .instant,
        ],
        """
        UPDATE clients SET
            name = COALESCE(:name, name), scopes = COALESCE(:scopes, scopes),
            audiences = COALESCE(:audiences, audiences),
            jwks = CASE WHEN :sets_jwks THEN :jwks ELSE jwks END,
            disabled_at = CASE
                WHEN :disabled IS NULL THEN disabled_at WHEN :disabled THEN COALESCE(disabled_at, :now) ELSE NULL END,
            tokens_valid_from = CASE
                WHEN :disabled AND disabled_at IS NULL
                    AND (tokens_valid_from IS NULL OR tokens_valid_from < :tokens_end) THEN :tokens_end
                ELSE tokens_valid_from END,
            updated_at = :now
        WHERE id = :id
        RETURNING \(Client.columns)
        """
    )

    /// `tokensEnd`: if this disables the client, its earlier tokens stay refused.
    static func update(change: ClientChange, of id: String, tokensEnd: Instant, at now: Instant) -> BoundStatement {
        update.bind([
            "id": id, "name": change.name, "scopes": change.scopes?.map(\.verbatim).joined(separator: " "),
            "audiences": change.audiences?.map(\.verbatim).joined(separator: " "), "sets_jwks": change.jwks.isPresent,
            "jwks": change.jwks.value, "disabled": change.isDisabled, "now": now, "tokens_end": tokensEnd,
        ])
    }

    private static let rotateSecret = Statement(
        "clients.rotate_secret",
        .writes,
        ["id": .text, "secret_hash": .bytes, "now": .instant, "overlap_end": .instant],
        """
        UPDATE clients SET
            previous_secret_hash = CASE WHEN :overlap_end IS NULL THEN NULL ELSE secret_hash END,
            previous_secret_expires_at = CASE
                WHEN :overlap_end IS NULL OR secret_hash IS NULL THEN NULL ELSE :overlap_end END,
            secret_hash = :secret_hash, secret_created_at = :now, updated_at = :now
        WHERE id = :id
        RETURNING \(Client.columns)
        """
    )

    /// The current secret stays valid as the previous one until `end`, or ends at once if that is `nil`. An older one
    /// ends.
    static func rotateSecret(
        of id: String,
        to secret: ClientSecret,
        overlapUntil end: Instant?,
        at now: Instant
    ) -> BoundStatement {
        rotateSecret.bind(["id": id, "secret_hash": secret.hash, "now": now, "overlap_end": end])
    }

    private static let delete = Statement(
        "clients.delete",
        .writes,
        ["id": .text],
        "DELETE FROM clients WHERE id = :id"
    )

    static func delete(id: String) -> BoundStatement { delete.bind(["id": id]) }

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

    static let all = [
        byID, everything, insert, update, rotateSecret, delete, useAssertion, deleteExpiredAssertions,
    ]
}
