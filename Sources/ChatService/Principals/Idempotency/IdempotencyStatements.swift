import ServiceKit
import Storage

enum IdempotencyStatements {
    private static let claim = Statement(
        "idempotency.claim",
        .writes,
        [
            "owner": .text, "key": .text, "route": .text, "request_hash": .text, "seed": .text, "target": .text,
            "now": .instant, "expires_at": .instant,
        ],
        """
        INSERT INTO idempotency_keys
            (principal_id, key, route, request_hash, seed, target_id, base_seq, base_head_id, made_at, expires_at)
        SELECT principals.id, :key, :route, :request_hash, :seed, :target,
            COALESCE((SELECT c.last_seq FROM conversations c WHERE c.id = :target), -1),
            (SELECT c.head_message_id FROM conversations c WHERE c.id = :target AND \(OnePlan.check("c.owner_id = :owner"))),
            :now, :expires_at
        FROM principals WHERE principals.id = :owner AND is_active AND erased_at IS NULL
        ON CONFLICT (principal_id, key) DO UPDATE SET
            route = excluded.route, request_hash = excluded.request_hash, seed = excluded.seed,
            target_id = excluded.target_id, base_seq = excluded.base_seq, base_head_id = excluded.base_head_id,
            made_at = excluded.made_at, expires_at = excluded.expires_at
        WHERE idempotency_keys.expires_at <= :now
        """
    )

    /// Takes the key, unless another attempt has it. Records the state before the writes, for `release` and a later
    /// answer.
    static func claim(attempt: IdempotentAttempt, of owner: String, target: String) -> BoundStatement {
        let now = attempt.identity.at
        return claim.bind([
            "owner": owner, "key": attempt.key, "route": attempt.route, "request_hash": attempt.requestHash,
            "seed": attempt.identity.seed, "target": target, "now": now,
            "expires_at": now + IdempotentAttempt.lifetime,
        ])
    }

    private static let close = Statement(
        "idempotency.close",
        .writes,
        ["owner": .text, "key": .text, "seed": .text],
        """
        UPDATE principals SET is_replaying = TRUE
        WHERE id = :owner AND NOT EXISTS (
            SELECT 1 FROM idempotency_keys k WHERE k.principal_id = :owner AND k.key = :key AND k.seed = :seed
        )
        """
    )

    /// Blocks writes if the key is another attempt's.
    static func close(attempt: IdempotentAttempt, of owner: String) -> BoundStatement {
        close.bind(["owner": owner, "key": attempt.key, "seed": attempt.identity.seed])
    }

    private static let release = Statement(
        "idempotency.release",
        .writes,
        ["owner": .text, "key": .text, "seed": .text],
        """
        DELETE FROM idempotency_keys
        WHERE principal_id = :owner AND key = :key AND seed = :seed AND NOT EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = idempotency_keys.target_id AND \(ConversationState.live.sql(of: ":owner", "c"))
                AND c.last_seq > idempotency_keys.base_seq
        ) AND NOT EXISTS (
            SELECT 1 FROM quota_reservations r
            WHERE r.id = idempotency_keys.target_id AND \(OnePlan.check("r.user_id = :owner"))
        )
        """
    )

    /// Drops the key if this attempt has made nothing: a refusal may be retried.
    static func release(attempt: IdempotentAttempt, of owner: String) -> BoundStatement {
        release.bind(["owner": owner, "key": attempt.key, "seed": attempt.identity.seed])
    }

    private static let read = Statement(
        "idempotency.read",
        .reads,
        ["owner": .text, "key": .text, "now": .instant],
        """
        SELECT route, request_hash, seed, target_id, base_seq, base_head_id, made_at FROM idempotency_keys
        WHERE principal_id = :owner AND key = :key AND expires_at > :now
        """
    )

    static func read(attempt: IdempotentAttempt, of owner: String) -> BoundStatement {
        read.bind(["owner": owner, "key": attempt.key, "now": attempt.identity.at])
    }

    private static let open = Statement(
        "idempotency.open",
        .writes,
        ["owner": .text],
        "UPDATE principals SET is_replaying = FALSE WHERE id = :owner AND is_replaying"
    )

    /// Unblocks writes, before the transaction ends.
    static func open(of owner: String) -> BoundStatement { open.bind(["owner": owner]) }

    private static let deleteExpired = Statement(
        "idempotency.delete_expired",
        .writes,
        ["now": .instant, "limit": .integer],
        """
        DELETE FROM idempotency_keys
        WHERE expires_at <= :now AND (principal_id, key) IN (
            SELECT principal_id, key FROM idempotency_keys WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
        )
        """
    )

    static let cleanup = CleanupStep("chat_idempotency_keys") { deleteExpired.bind(["now": $0, "limit": $1]) }

    static let erasure = [
        ErasureStep(
            "idempotency_keys",
            keys: { owner in
                """
                SELECT principal_id, key FROM idempotency_keys
                WHERE \(OnePlan.group("principal_id", is: owner)) ORDER BY principal_id, key
                """
            },
            delete: { keys, engine in
                let isAmong = OnePlan.amongFew("principal_id, key", foundBy: ["principal_id", "key"], engine)
                return "\(OnePlan.few(keys)) DELETE FROM idempotency_keys WHERE \(isAmong)"
            }
        )
    ]

    static let all = [claim, close, release, read, open, deleteExpired]
}
