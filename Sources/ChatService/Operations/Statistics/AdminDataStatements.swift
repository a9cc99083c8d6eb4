import Storage

enum AdminDataStatements {
    private static let summary = Statement(
        "admin.summary",
        .reads,
        ["principal": .text],
        """
        SELECT p.id, p.kind, p.is_active, p.tokens_total, p.first_seen_at, p.last_seen_at, p.deactivated_at, p.erased_at,
            COUNT(c.id) AS conversations, COUNT(c.deleted_at) AS trashed,
            CAST(COALESCE(SUM(c.message_count), 0) AS BIGINT) AS messages, MAX(c.updated_at) AS changed_at
        FROM principals p LEFT JOIN conversations c ON c.owner_id = p.id
        WHERE p.id = :principal
        GROUP BY p.id, p.kind, p.is_active, p.tokens_total, p.first_seen_at, p.last_seen_at, p.deactivated_at,
            p.erased_at
        """
    )

    /// Of one person. Adds up conversations' counters, since their messages may be millions.
    static func summary(of principal: String) -> BoundStatement { summary.bind(["principal": principal]) }

    private static let principals = Statement(
        "admin.stats_principals",
        .reads,
        """
        SELECT COUNT(*) FILTER (WHERE erased_at IS NULL AND kind = 'user') AS users,
            COUNT(*) FILTER (WHERE erased_at IS NULL AND kind = 'guest') AS guests,
            COUNT(*) FILTER (WHERE erased_at IS NULL AND NOT is_active) AS deactivated,
            COUNT(erased_at) AS erased, CAST(COALESCE(SUM(tokens_total), 0) AS BIGINT) AS tokens
        FROM principals
        """
    )

    private static let conversations = Statement(
        "admin.stats_conversations",
        .reads,
        """
        SELECT COUNT(*) AS conversations, COUNT(deleted_at) AS trashed,
            CAST(COALESCE(SUM(message_count), 0) AS BIGINT) AS messages
        FROM conversations
        """
    )

    private static let erasures = Statement(
        "admin.stats_erasures",
        .reads,
        """
        SELECT COUNT(*) AS running, MIN(requested_at) AS oldest FROM erasures WHERE completed_at IS NULL
        """
    )

    private static let feed = Statement(
        "admin.stats_feed",
        .reads,
        "SELECT MAX(moved_at) AS moved_at FROM auth_feed"
    )

    /// Totals over all people. Each reads whole tables, on an admin's request.
    enum Totals {
        static var ofPrincipals: BoundStatement { principals.bind() }
        static var ofConversations: BoundStatement { conversations.bind() }
        static var ofErasures: BoundStatement { erasures.bind() }
        static var ofFeed: BoundStatement { feed.bind() }
    }

    static let all = [summary, principals, conversations, erasures, feed]
}
