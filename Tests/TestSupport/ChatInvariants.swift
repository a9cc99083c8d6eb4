// Invariants of the chat database after any requests and crashes. Each is a query for the rows that break it, so a
// failure names them. A feature with a promise across rows adds its query here, and every fuzz and crash test checks
// it.
package import Storage

package struct ChatInvariant: Sendable {
    package let name: String
    private let postgres: String
    private let sqlite: String

    package init(_ name: String, violations: String) { self.init(name, postgres: violations, sqlite: violations) }

    /// For structures that differ between the engines.
    package init(_ name: String, postgres: String, sqlite: String) {
        self.name = name
        self.postgres = postgres
        self.sqlite = sqlite
    }

    package static let all = [
        ChatInvariant(
            "no conversation is left under construction",
            violations: "SELECT id FROM conversations WHERE version < 1"
        ),
        ChatInvariant(
            "there is a row for each number from 1 to last_seq, and none beyond",
            violations: """
                SELECT c.id FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.id
                GROUP BY c.id, c.last_seq
                HAVING COUNT(m.id) <> c.last_seq OR COALESCE(MAX(m.seq), 0) <> c.last_seq
                    OR COALESCE(MIN(m.seq), 1) <> 1
                """
        ),
        ChatInvariant(
            "every message's parent is an earlier one of its conversation, and a live one's parent is live",
            violations: """
                SELECT m.id FROM messages m LEFT JOIN messages p ON p.id = m.parent_id
                WHERE m.parent_id IS NOT NULL
                    AND (p.id IS NULL OR p.conversation_id <> m.conversation_id OR p.seq >= m.seq
                        OR (m.deleted_at IS NULL AND p.deleted_at IS NOT NULL))
                """
        ),
        ChatInvariant(
            "a message's skip names an earlier message of its conversation",
            violations: """
                SELECT m.id FROM messages m
                LEFT JOIN messages p ON p.conversation_id = m.conversation_id AND p.seq = m.skip_seq
                WHERE m.skip_seq IS NOT NULL AND (p.id IS NULL OR p.seq >= m.seq)
                """
        ),
        ChatInvariant(
            "a read marker is at a number that was given",
            violations: "SELECT id FROM conversations WHERE read_seq < 0 OR read_seq > last_seq"
        ),
        ChatInvariant(
            "message_count, tokens_in and tokens_out are those of the live messages",
            violations: """
                SELECT c.id FROM conversations c
                LEFT JOIN messages m ON m.conversation_id = c.id AND m.deleted_at IS NULL
                GROUP BY c.id, c.message_count, c.tokens_in, c.tokens_out
                HAVING c.message_count <> COUNT(m.id) OR c.tokens_in <> COALESCE(SUM(m.tokens_in), 0)
                    OR c.tokens_out <> COALESCE(SUM(m.tokens_out), 0)
                """
        ),
        ChatInvariant(
            "a principal's total is what was ever spent, on deleted messages too and on copies never",
            violations: """
                SELECT p.id FROM principals p
                LEFT JOIN conversations c ON c.owner_id = p.id
                LEFT JOIN messages m ON m.conversation_id = c.id
                    AND NOT (c.forked_from_conversation_id IS NOT NULL AND m.id LIKE c.id || '.%')
                GROUP BY p.id, p.tokens_total
                HAVING p.tokens_total <> COALESCE(SUM(m.tokens_total), 0)
                """
        ),
        ChatInvariant(
            "the total of a principal who forked is the ledger's, and so is the sum of the days",
            violations: """
                SELECT p.id FROM principals p
                WHERE EXISTS (
                        SELECT 1 FROM conversations f
                        WHERE f.owner_id = p.id AND f.forked_from_conversation_id IS NOT NULL
                    ) AND (p.tokens_total <> (
                        SELECT COALESCE(SUM(e.tokens_total), 0) FROM usage_events e WHERE e.user_id = p.id
                    ) OR p.tokens_total <> (
                        SELECT COALESCE(SUM(t.tokens_total), 0) FROM usage_totals t WHERE t.user_id = p.id
                    ))
                """
        ),
        ChatInvariant(
            "the head is a live message of the conversation, or nothing where there is none",
            violations: """
                SELECT c.id FROM conversations c
                LEFT JOIN messages h
                    ON h.id = c.head_message_id AND h.conversation_id = c.id AND h.deleted_at IS NULL
                WHERE (h.id IS NULL AND (c.head_message_id IS NOT NULL OR c.message_count > 0))
                """
        ),
        ChatInvariant(
            "a tombstone says nothing",
            violations: """
                SELECT id FROM messages
                WHERE deleted_at IS NOT NULL
                    AND (parts <> '[]' OR content_text IS NOT NULL OR metadata <> '{}'
                        OR search IS NOT NULL)
                """
        ),
        ChatInvariant(
            "a tag's conversation_count is how many living conversations have it",
            violations: """
                SELECT t.id FROM tags t WHERE t.conversation_count <> (
                    SELECT COUNT(*) FROM conversation_tags ct JOIN conversations c ON c.id = ct.conversation_id
                    WHERE ct.tag_id = t.id AND c.deleted_at IS NULL
                )
                """
        ),
        // A row without words is still to be indexed: the backfill finds it.
        ChatInvariant(
            "search index equal to rows: messages",
            postgres: """
                SELECT m.id FROM messages m JOIN conversations c ON c.id = m.conversation_id
                WHERE NOT m.search @@ (
                    '''§o' || substr(encode(sha256(convert_to(c.owner_id, 'UTF8')), 'hex'), 1, 12) || ''' & ''§c'
                        || substr(encode(sha256(convert_to(c.id, 'UTF8')), 'hex'), 1, 12) || ''' & ''§r' || m.role || ''''
                )::tsquery OR (m.search IS NOT NULL AND m.content_text IS NULL)
                """,
            sqlite: entries("messages", "message", "AND x.deleted_at IS NULL", text: "content_text")
        ),
        ChatInvariant(
            "search index equal to rows: titles",
            postgres: """
                SELECT id FROM conversations
                WHERE NOT search @@ (
                    '''§o' || substr(encode(sha256(convert_to(owner_id, 'UTF8')), 'hex'), 1, 12) || ''''
                )::tsquery OR (search IS NOT NULL AND title IS NULL)
                """,
            sqlite: entries("conversations", "title", "", text: "title")
        ),
    ]

    /// After a kill: a trashed row with version 0 or -1 was being copied or purged. Only the cleanup finds it, and it
    /// promises nothing.
    package static let afterKill = all.map { invariant in
        ChatInvariant(
            invariant.name,
            postgres: sparingHalves(invariant.postgres),
            sqlite: sparingHalves(invariant.sqlite)
        )
    }

    private static func sparingHalves(_ violations: String) -> String {
        let halves = "SELECT c.id FROM conversations c WHERE c.version <= 0 AND c.deleted_at IS NOT NULL"
        return """
            SELECT v.id FROM (\(violations)) AS v
            WHERE v.id NOT IN (\(halves))
                AND v.id NOT IN (SELECT m.id FROM messages m WHERE m.conversation_id IN (\(halves)))
            """
    }

    /// Rows of `table` whose entry in FTS5 is missing or does not hold their words in sequence, and entries without a
    /// row.
    private static func entries(_ table: String, _ kind: String, _ isLive: String, text: String) -> String {
        let (fts5, rows, key) = ("search_\(kind)s", "search_\(kind)_rows", "\(table.dropLast())_id")
        return """
            SELECT x.id FROM \(table) x LEFT JOIN \(rows) r ON r.\(key) = x.id
            WHERE (x.search IS NOT NULL \(isLive)) <> (r.\(key) IS NOT NULL)
                OR (x.search IS NOT NULL AND x.\(text) IS NULL)
                OR (r.\(key) IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM \(fts5) s
                    WHERE s.\(fts5) MATCH '"' || r.scope || ' ' || x.search || '"' AND s.rowid = r.position
                ))
            UNION ALL
            SELECT r.\(key) FROM \(rows) r WHERE NOT EXISTS (SELECT 1 FROM \(table) x WHERE x.id = r.\(key))
            UNION ALL
            SELECT CAST(s.rowid AS TEXT) FROM \(fts5) s
            WHERE s.\(fts5) MATCH '"§o" *' AND s.rowid NOT IN (SELECT position FROM \(rows))
            """
    }

    /// One sentence for each fault. No writer may be active.
    package static func broken(
        in database: any SQLDatabase,
        _ invariants: [ChatInvariant] = all
    ) async throws -> [String] {
        var broken: [String] = []
        for (index, invariant) in invariants.enumerated() {
            let statement = Statement(
                "tests.invariant_\(index)",
                .reads,
                [:],
                postgres: invariant.postgres,
                sqlite: invariant.sqlite
            )
            let ids = try await database.run(statement.bind(), priority: .long).rows.map { try $0.text("id") }
            if !ids.isEmpty { broken.append("\(invariant.name): \(ids.prefix(5)) and so on, \(ids.count)") }
        }
        return broken
    }
}
