// SQLite's two full-text indexes. Their SQL differs in names only, and is written for messages.
import Storage

/// An index, and the rows that it is derived from.
enum SearchTable: String, Sendable, CaseIterable {
    /// The raw value is the name in `search_indexes`.
    case messages, titles

    /// Derives a statement from its SQL for `messages`. On PostgreSQL, without such tables, it does nothing.
    func statement(
        _ intent: String,
        _ effect: Statement.Effect,
        _ sql: String,
        _ parameters: StatementParameters = [:]
    ) -> Statement {
        Statement(
            "search.\(intent)_\(rawValue)",
            effect,
            parameters,
            postgres: "SELECT 0::bigint AS nothing_to_do",
            sqlite: named(sql)
        )
    }

    private func named(_ sql: String) -> String {
        guard self == .titles else { return sql }
        let names = [
            ("search_messages", "search_titles"), ("search_message_rows", "search_title_rows"),
            ("message_id", "conversation_id"), ("messages_search_", "conversations_search_"),
            ("FROM messages s", "FROM conversations s"), ("'messages'", "'titles'"),
        ]
        return names.reduce(sql) { $0.replacing($1.0, with: $1.1) }
    }

    /// Whether the row `s` has an entry.
    var isIndexed: String {
        self == .messages ? "s.search IS NOT NULL AND \(MessageState.live.sql("s"))" : "s.search IS NOT NULL"
    }

    /// The words that triggers put before those of the row `s`.
    var scope: String {
        switch self {
        case .messages:
            """
            '§o' || lower(hex((SELECT c.owner_id FROM conversations c WHERE c.id = s.conversation_id)))
                || ' §c' || lower(hex(s.conversation_id)) || ' §r' || s.role
            """
        case .titles: "'§o' || lower(hex(s.owner_id))"
        }
    }
}
