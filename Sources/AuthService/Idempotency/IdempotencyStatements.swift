import ServiceKit
import Storage

enum IdempotencyStatements {
    private static let claim = Statement(
        "idempotency.claim",
        .writes,
        [
            "owner": .text, "key": .text, "route": .text, "request_hash": .text, "seed": .text, "now": .instant,
            "held_until": .instant, "expires_at": .instant, "most": .integer,
        ],
        """
        INSERT INTO idempotency_keys
            (principal_id, key, route, request_hash, seed, made_at, held_until, expires_at)
        SELECT users.id, :key, :route, :request_hash, :seed, :now, :held_until, :expires_at
        FROM users WHERE users.id = :owner AND :most > (
            SELECT COUNT(*) FROM (
                SELECT k.key FROM idempotency_keys k WHERE k.principal_id = :owner AND k.key <> :key LIMIT :most
            ) AS kept
        )
        ON CONFLICT (principal_id, key) DO UPDATE SET
            route = excluded.route, request_hash = excluded.request_hash, seed = excluded.seed, target_id = NULL,
            status = NULL, body = NULL, made_at = excluded.made_at, held_until = excluded.held_until,
            expires_at = excluded.expires_at
        WHERE idempotency_keys.expires_at <= :now OR (
            idempotency_keys.status IS NULL AND idempotency_keys.target_id IS NULL
            AND idempotency_keys.held_until <= :now AND idempotency_keys.route = excluded.route
            AND idempotency_keys.request_hash = excluded.request_hash
        )
        """
    )

    /// Takes the key, unless another attempt has it, or its owner has `most` keys.
    static func claim(attempt: IdempotentAttempt, most: Int64) -> BoundStatement {
        claim.bind([
            "owner": attempt.principal, "key": attempt.key, "route": attempt.route,
            "request_hash": attempt.requestHash, "seed": attempt.seed, "now": attempt.at,
            "held_until": attempt.at + IdempotencyKeys.hold, "expires_at": attempt.at + IdempotencyKeys.lifetime,
            "most": most,
        ])
    }

    private static let read = Statement(
        "idempotency.read",
        .reads,
        ["owner": .text, "key": .text, "now": .instant],
        """
        SELECT route, request_hash, seed, target_id, status, body FROM idempotency_keys
        WHERE principal_id = :owner AND key = :key AND expires_at > :now
        """
    )

    static func read(attempt: IdempotentAttempt) -> BoundStatement {
        read.bind(["owner": attempt.principal, "key": attempt.key, "now": attempt.at])
    }

    private static let mark = Statement(
        "idempotency.mark",
        .writes,
        ["owner": .text, "key": .text, "seed": .text, "target": .text],
        """
        UPDATE idempotency_keys SET target_id = :target
        WHERE principal_id = :owner AND key = :key AND seed = :seed
            AND EXISTS (SELECT 1 FROM users WHERE users.id = :target)
        """
    )

    /// Notes the user that this attempt has made, in the transaction that made it.
    static func mark(target: String, madeBy attempt: IdempotentAttempt) -> BoundStatement {
        mark.bind(["owner": attempt.principal, "key": attempt.key, "seed": attempt.seed, "target": target])
    }

    private static let finish = Statement(
        "idempotency.finish",
        .writes,
        ["owner": .text, "key": .text, "seed": .text, "target": .text, "status": .integer, "body": .text],
        """
        UPDATE idempotency_keys SET status = :status, target_id = COALESCE(:target, target_id), body = :body
        WHERE principal_id = :owner AND key = :key AND seed = :seed
        """
    )

    static func finish(attempt: IdempotentAttempt, status: Int, target: String?, body: String?) -> BoundStatement {
        finish.bind([
            "owner": attempt.principal, "key": attempt.key, "seed": attempt.seed, "target": target,
            "status": Int64(status), "body": body,
        ])
    }

    private static let release = Statement(
        "idempotency.release",
        .writes,
        ["owner": .text, "key": .text, "seed": .text],
        """
        DELETE FROM idempotency_keys
        WHERE principal_id = :owner AND key = :key AND seed = :seed AND status IS NULL AND target_id IS NULL
        """
    )

    /// Drops the key of an attempt that has made nothing: a refusal may be retried.
    static func release(attempt: IdempotentAttempt) -> BoundStatement {
        release.bind(["owner": attempt.principal, "key": attempt.key, "seed": attempt.seed])
    }

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

    static let cleanup = CleanupStep("idempotency_keys") { deleteExpired.bind(["now": $0, "limit": $1]) }

    static let all = [claim, read, mark, finish, release, deleteExpired]
}
