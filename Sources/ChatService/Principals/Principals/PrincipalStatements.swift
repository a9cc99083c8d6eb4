// SQL of the principals' mirror.
import Storage

enum PrincipalStatements {
    /// The condition of every write, on the principal in `$n`. It is false too in a unit that repeats a request which
    /// was answered before (see Idempotency.swift).
    static func mayWrite(_ parameter: String) -> String {
        """
        EXISTS (
            SELECT 1 FROM principals
            WHERE principals.id = \(parameter) AND is_active AND erased_at IS NULL AND NOT is_replaying
        )
        """
    }

    /// What an erase leaves of a row: its id.
    static func tombstone(_ instant: String) -> String {
        """
        kind = 'user', display_name = NULL, avatar_url = NULL, is_active = TRUE, tokens_total = 0,
        first_seen_at = \(instant), last_seen_at = \(instant), deactivated_at = NULL, erased_at = \(instant)
        """
    }

    /// Sets the tombstone, once. `$3`: whether of somebody who is deactivated too.
    static let entomb = Statement(
        "principals.entomb",
        .writes,
        [.text, .instant, .boolean],
        """
        UPDATE principals SET \(tombstone("$2"))
        WHERE id = $1 AND erased_at IS NULL AND ($3 OR is_active)
        """
    )

    static let refusedSince = Statement(
        "principals.refused_since",
        .reads,
        [.instant],
        """
        SELECT id FROM principals WHERE deactivated_at >= $1 AND NOT is_active
        UNION ALL
        SELECT id FROM principals WHERE erased_at >= $1
        LIMIT 100000
        """
    )

    // `DO UPDATE` locks the row on PostgreSQL even when its WHERE is false.
    static let touch = Statement(
        "principals.touch",
        .writes,
        [.text, .text, .instant, .instant],
        """
        INSERT INTO principals (id, kind, first_seen_at, last_seen_at)
        VALUES ($1, $2, $3, $3)
        ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, last_seen_at = excluded.last_seen_at
        WHERE principals.erased_at IS NULL
            AND (principals.kind <> excluded.kind OR principals.last_seen_at < $4)
        """
    )

    static let state = Statement(
        "principals.state",
        .reads,
        [.text],
        "SELECT is_active, erased_at FROM principals WHERE id = $1"
    )

    static let addTokens = Statement(
        "principals.add_tokens",
        .writes,
        [.text, .integer, .text, .integer],
        """
        UPDATE principals SET tokens_total = tokens_total + $2
        WHERE id = $1 AND EXISTS (
            SELECT 1 FROM conversations c JOIN messages m ON m.conversation_id = c.id AND m.seq = c.last_seq + $4
            WHERE c.id = $3 AND c.owner_id = $1
        )
        """
    )

    /// For a unit that tidies up behind a person: the order of locks, and nothing else.
    static let lock = Statement(
        "principals.lock",
        .writes,
        [.text],
        "UPDATE principals SET last_seen_at = last_seen_at WHERE id = $1"
    )

    /// By what a patch is about to make of a message's total (see UsageStatements.difference), before it does.
    static let adjustTokens = Statement(
        "principals.adjust_tokens",
        .writes,
        UsageStatements.differenceParameters,
        """
        UPDATE principals SET tokens_total = CASE
                WHEN principals.tokens_total + change.more_total < 0 THEN 0
                ELSE principals.tokens_total + change.more_total
            END
        \(UsageStatements.difference)
        WHERE principals.id = change.owner_id
        """
    )

    static let all = [touch, state, addTokens, adjustTokens, entomb, refusedSince, lock]
}
