import Storage

enum PrincipalStatements {
    static func mayWrite(principal: String) -> String {
        """
        EXISTS (
            SELECT 1 FROM principals
            WHERE principals.id = \(principal) AND is_active AND erased_at IS NULL AND NOT is_replaying
        )
        """
    }

    /// An erasure leaves a row's id.
    static func tombstone(at instant: String) -> String {
        """
        kind = 'user', display_name = NULL, avatar_url = NULL, is_active = TRUE, tokens_total = 0,
        first_seen_at = \(instant), last_seen_at = \(instant), deactivated_at = NULL, erased_at = \(instant)
        """
    }

    private static let markErased = Statement(
        "principals.entomb",
        .writes,
        ["id": .text, "now": .instant, "includes_inactive": .boolean],
        """
        UPDATE principals SET \(tombstone(at: ":now"))
        WHERE id = :id AND erased_at IS NULL AND (:includes_inactive OR is_active)
        """
    )

    /// Sets the tombstone, once. A deactivated person only on request.
    static func markErased(id: String, includingInactive: Bool, at now: Instant) -> BoundStatement {
        markErased.bind(["id": id, "now": now, "includes_inactive": includingInactive])
    }

    private static let blocked = Statement(
        "principals.refused_since",
        .reads,
        ["since": .instant],
        """
        SELECT id FROM principals WHERE deactivated_at >= :since AND NOT is_active
        UNION ALL
        SELECT id FROM principals WHERE erased_at >= :since
        LIMIT 100000
        """
    )

    static func blocked(since instant: Instant) -> BoundStatement { blocked.bind(["since": instant]) }

    // `DO UPDATE` locks the row on PostgreSQL even if its WHERE is false.
    private static let touch = Statement(
        "principals.touch",
        .writes,
        ["id": .text, "kind": .text, "now": .instant, "seen_before": .instant],
        """
        INSERT INTO principals (id, kind, first_seen_at, last_seen_at)
        VALUES (:id, :kind, :now, :now)
        ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, last_seen_at = excluded.last_seen_at
        WHERE principals.erased_at IS NULL
            AND (principals.kind <> excluded.kind OR principals.last_seen_at < :seen_before)
        """
    )

    static func touch(caller: Caller, at now: Instant) -> BoundStatement {
        touch.bind([
            "id": caller.id, "kind": caller.kind, "now": now, "seen_before": now - Principals.seenPrecision,
        ])
    }

    private static let state = Statement(
        "principals.state",
        .reads,
        ["id": .text],
        "SELECT is_active, erased_at FROM principals WHERE id = :id"
    )

    static func state(of id: String) -> BoundStatement { state.bind(["id": id]) }

    private static let addTokens = Statement(
        "principals.add_tokens",
        .writes,
        ["id": .text, "tokens": .integer, "conversation": .text, "messages": .integer],
        """
        UPDATE principals SET tokens_total = tokens_total + :tokens
        WHERE id = :id AND EXISTS (
            SELECT 1 FROM messages m WHERE m.conversation_id = :conversation AND m.seq = (
                SELECT c.last_seq FROM conversations c
                WHERE c.id = :conversation AND \(OnePlan.check("c.owner_id = :id"))
            ) + :messages
        )
        """
    )

    static func add(tokens: Int64, to id: String, conversation: String, messages: Int) -> BoundStatement {
        addTokens.bind(["id": id, "tokens": tokens, "conversation": conversation, "messages": messages])
    }

    static func addingTokens(name: String, parameters: StatementParameters, if condition: String) -> Statement {
        Statement(
            name,
            .writes,
            parameters,
            "UPDATE principals SET tokens_total = tokens_total + :tokens WHERE id = :owner AND \(condition)"
        )
    }

    private static let lock = Statement(
        "principals.lock",
        .writes,
        ["id": .text],
        "UPDATE principals SET last_seen_at = last_seen_at WHERE id = :id"
    )

    static func lock(id: String) -> BoundStatement { lock.bind(["id": id]) }

    static func adjustingTokens(parameters: StatementParameters, by difference: String) -> Statement {
        Statement(
            "principals.adjust_tokens",
            .writes,
            parameters,
            """
            UPDATE principals SET tokens_total = CASE
                    WHEN principals.tokens_total + change.more_total < 0 THEN 0
                    ELSE principals.tokens_total + change.more_total
                END
            \(difference)
            WHERE principals.id = change.owner_id
            """
        )
    }

    static let all = [touch, state, addTokens, markErased, blocked, lock]
}
