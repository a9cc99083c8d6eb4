// SQL of idempotency keys.
import Storage

enum IdempotencyStatements {
    /// Takes the key for this attempt, unless another attempt has it. What is there before the writes is noted, so that
    /// `release` and a later answer know what they did.
    static let claim = Statement(
        "idempotency.claim",
        .writes,
        [.text, .text, .text, .text, .text, .text, .instant, .instant],
        """
        INSERT INTO idempotency_keys
            (principal_id, key, route, request_hash, seed, target_id, base_seq, base_head_id, made_at, expires_at)
        SELECT principals.id, $2, $3, $4, $5, $6,
            COALESCE((SELECT c.last_seq FROM conversations c WHERE c.id = $6), -1),
            (SELECT c.head_message_id FROM conversations c WHERE c.id = $6 AND c.owner_id = $1),
            $7, $8
        FROM principals WHERE principals.id = $1 AND is_active AND erased_at IS NULL
        ON CONFLICT (principal_id, key) DO UPDATE SET
            route = excluded.route, request_hash = excluded.request_hash, seed = excluded.seed,
            target_id = excluded.target_id, base_seq = excluded.base_seq, base_head_id = excluded.base_head_id,
            made_at = excluded.made_at, expires_at = excluded.expires_at
        WHERE idempotency_keys.expires_at <= $7
        """
    )

    /// Closes the unit to writes when the key is another attempt's.
    static let close = Statement(
        "idempotency.close",
        .writes,
        [.text, .text, .text],
        """
        UPDATE principals SET is_replaying = TRUE
        WHERE id = $1 AND NOT EXISTS (
            SELECT 1 FROM idempotency_keys k WHERE k.principal_id = $1 AND k.key = $2 AND k.seed = $3
        )
        """
    )

    /// Gives the key back when this attempt has made nothing: a refusal is not kept, and may be tried again.
    static let release = Statement(
        "idempotency.release",
        .writes,
        [.text, .text, .text],
        """
        DELETE FROM idempotency_keys
        WHERE principal_id = $1 AND key = $2 AND seed = $3 AND NOT EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = idempotency_keys.target_id AND c.owner_id = $1 AND c.deleted_at IS NULL
                AND c.last_seq > idempotency_keys.base_seq
        ) AND NOT EXISTS (
            SELECT 1 FROM quota_reservations r WHERE r.id = idempotency_keys.target_id AND r.user_id = $1
        )
        """
    )

    static let read = Statement(
        "idempotency.read",
        .reads,
        [.text, .text, .instant],
        """
        SELECT route, request_hash, seed, target_id, base_seq, base_head_id, made_at FROM idempotency_keys
        WHERE principal_id = $1 AND key = $2 AND expires_at > $3
        """
    )

    static let open = Statement(
        "idempotency.open",
        .writes,
        [.text],
        "UPDATE principals SET is_replaying = FALSE WHERE id = $1 AND is_replaying"
    )

    static let deleteExpired = Statement(
        "idempotency.delete_expired",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM idempotency_keys
        WHERE expires_at <= $1 AND (principal_id, key) IN (
            SELECT principal_id, key FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
        )
        """
    )

    static let all = [claim, close, release, read, open, deleteExpired]
}
