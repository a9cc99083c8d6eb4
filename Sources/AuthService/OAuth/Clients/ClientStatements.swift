// SQL of `clients` and `client_assertions`.
import Storage

enum ClientStatements {
    static let byID = Statement(
        "clients.by_id",
        .reads,
        [.text],
        "SELECT \(Client.columns) FROM clients WHERE id = $1"
    )

    /// Clients are dozens, made by hand.
    static let list = Statement(
        "clients.list",
        .reads,
        [],
        "SELECT \(Client.columns) FROM clients ORDER BY created_at, id"
    )

    /// Zero rows when the id is taken.
    static let insert = Statement(
        "clients.insert",
        .writes,
        [.text, .text, .text, .text, .bytes, .instant, .text, .instant],
        """
        INSERT INTO clients (
            id, name, scopes, audiences, secret_hash, secret_created_at, jwks, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        ON CONFLICT (id) DO NOTHING
        RETURNING \(Client.columns)
        """
    )

    /// NULL leaves a value as it is; `$5` says whether `$6` replaces the keys, `$7` whether the client is disabled, and `$9`
    /// before when its tokens are refused for good if this disables it.
    static let update = Statement(
        "clients.update",
        .writes,
        [.text, .text, .text, .text, .boolean, .text, .boolean, .instant, .instant],
        """
        UPDATE clients SET
            name = COALESCE($2, name), scopes = COALESCE($3, scopes), audiences = COALESCE($4, audiences),
            jwks = CASE WHEN $5 THEN $6 ELSE jwks END,
            disabled_at = CASE
                WHEN $7 IS NULL THEN disabled_at WHEN $7 THEN COALESCE(disabled_at, $8) ELSE NULL END,
            tokens_valid_from = CASE
                WHEN $7 AND disabled_at IS NULL AND (tokens_valid_from IS NULL OR tokens_valid_from < $9) THEN $9
                ELSE tokens_valid_from END,
            updated_at = $8
        WHERE id = $1
        RETURNING \(Client.columns)
        """
    )

    /// The current secret becomes the previous one until `$4`, or goes at once where that is NULL. Of three, the oldest
    /// goes: a secret that was replaced twice is nobody's any more.
    static let rotateSecret = Statement(
        "clients.rotate_secret",
        .writes,
        [.text, .bytes, .instant, .instant],
        """
        UPDATE clients SET
            previous_secret_hash = CASE WHEN $4 IS NULL THEN NULL ELSE secret_hash END,
            previous_secret_expires_at = CASE WHEN $4 IS NULL OR secret_hash IS NULL THEN NULL ELSE $4 END,
            secret_hash = $2, secret_created_at = $3, updated_at = $3
        WHERE id = $1
        RETURNING \(Client.columns)
        """
    )

    static let delete = Statement("clients.delete", .writes, [.text], "DELETE FROM clients WHERE id = $1")

    /// Zero rows affected when the assertion was used before: of requests that race with one assertion, one gets in.
    static let useAssertion = Statement(
        "clients.use_assertion",
        .writes,
        [.text, .text, .instant],
        """
        INSERT INTO client_assertions (client_id, jti, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (client_id, jti) DO NOTHING
        """
    )

    static let deleteExpiredAssertions = Statement(
        "clients.delete_expired_assertions",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM client_assertions WHERE (client_id, jti) IN (
            SELECT client_id, jti FROM client_assertions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
        """
    )

    static let all = [
        byID, list, insert, update, rotateSecret, delete, useAssertion, deleteExpiredAssertions,
    ]
}
