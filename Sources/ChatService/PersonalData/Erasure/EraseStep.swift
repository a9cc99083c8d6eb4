// What an erasure removes, table by table. Every table with personal data has a step here; a test searches the database
// for a marker afterwards.
//
// A step names the rows. Its two statements count and remove them in one transaction, so the receipt is exact whatever
// dies in between. Both find the person through the erasure and only while the tombstone exists, so a caller's mistake
// cannot remove rows of a person who was not erased.
import Storage

/// Rows of one table that are removed with their owner.
struct EraseStep: Sendable {
    static let batchSize = 500

    let entity: String
    private let count: Statement
    private let delete: Statement
    /// Runs before both.
    private let before: BoundStatement?

    /// Removes up to `batch` rows of an erasure.
    ///
    /// - Returns: how many rows were removed.
    func run(_ erasure: String, in database: any SQLDatabase) async throws -> Int {
        var transaction = Transaction()
        transaction.add(ErasureStatements.lock(erasure: erasure))
        if let before { transaction.add(before) }
        transaction.add(count.bind(["erasure": erasure]))
        let deleted = transaction.add(delete.bind(["erasure": erasure]))
        return try await database.run(transaction, priority: .long)[deleted].affected
    }

    /// - Parameters:
    ///   - entity: the rows' name in the receipt.
    ///   - table: where they are.
    ///   - key: the primary key, in parentheses if it has several columns.
    ///   - before: runs first in each transaction.
    ///   - rows: selects the keys of the rows that `owner`, an SQL expression, owns, without a limit.
    init(
        _ entity: String,
        table: String,
        key: String,
        before: BoundStatement? = nil,
        rows: (_ owner: String) -> String
    ) {
        self.init(entity, table: table, key: key, before: before) { owner, _ in rows(owner) }
    }

    init(
        _ entity: String,
        table: String,
        key: String,
        before: BoundStatement? = nil,
        rows: (_ owner: String, _ engine: SQLEngine) -> String
    ) {
        self.before = before
        let owner = """
            (SELECT e.principal_id FROM erasures e JOIN principals p ON p.id = e.principal_id
             WHERE e.id = :erasure AND e.completed_at IS NULL AND p.erased_at IS NOT NULL)
            """
        func selection(_ engine: SQLEngine) -> String { "\(rows(owner, engine)) LIMIT \(Self.batchSize)" }
        self.entity = entity
        count = Statement(
            "erase.count_\(entity)",
            .writes,
            ["erasure": .text]
        ) { engine in
            """
            INSERT INTO erasure_counts (erasure_id, entity, removed)
            SELECT e.id, '\(entity)', (SELECT COUNT(*) FROM (\(selection(engine))) AS batch)
            FROM erasures e WHERE e.id = :erasure AND e.completed_at IS NULL
            ON CONFLICT (erasure_id, entity) DO UPDATE SET removed = erasure_counts.removed + excluded.removed
            """
        }
        delete = Statement(
            "erase.delete_\(entity)",
            .writes,
            ["erasure": .text]
        ) { engine in
            "DELETE FROM \(table) WHERE \(key) IN (\(selection(engine)))"
        }
    }

    /// In order. The steps of one group take turns until none finds anything.
    static let groups: [[EraseStep]] = [
        // Rows that would otherwise cascade, any number of them in one statement.
        [
            EraseStep("votes", table: "votes", key: "(message_id, user_id)") { owner in
                "SELECT message_id, user_id FROM votes WHERE user_id = \(owner) ORDER BY user_id"
            },
            EraseStep("conversation_tags", table: "conversation_tags", key: "(conversation_id, tag_id)") { owner in
                """
                SELECT ct.conversation_id, ct.tag_id FROM tags t JOIN conversation_tags ct ON ct.tag_id = t.id
                WHERE t.owner_id = \(owner)
                """
            },
        ],
        [
            EraseStep("tags", table: "tags", key: "id") { owner in "SELECT id FROM tags WHERE owner_id = \(owner)" },
            EraseStep("idempotency_keys", table: "idempotency_keys", key: "(principal_id, key)") { owner in
                "SELECT principal_id, key FROM idempotency_keys WHERE principal_id = \(owner)"
            },
        ],
        // Messages before their conversation, which would cascade to any number of them. Both select from the first
        // conversations only, and an empty one is removed before the next look, so nothing is scanned twice.
        [
            EraseStep("messages", table: "messages", key: "id") { owner, engine in
                let first = "SELECT c.id FROM conversations c WHERE c.owner_id = \(owner) ORDER BY c.id LIMIT 20"
                return "\(MessageBatch.rows(engine, of: first)) SELECT batch.id FROM batch ORDER BY batch.number"
            },
            EraseStep("conversations", table: "conversations", key: "id") { owner in
                """
                SELECT first.id FROM (
                    SELECT c.id FROM conversations c WHERE c.owner_id = \(owner) ORDER BY c.id LIMIT \(batchSize)
                ) AS first
                WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = first.id)
                """
            },
        ],
        [
            EraseStep("usage_events", table: "usage_events", key: "id") { owner in
                "SELECT id FROM usage_events WHERE user_id = \(owner) ORDER BY created_at"
            },
            EraseStep("usage_totals", table: "usage_totals", key: "(user_id, day, model)") { owner in
                "SELECT user_id, day, model FROM usage_totals WHERE user_id = \(owner) ORDER BY day"
            },
            EraseStep("quota_reservations", table: "quota_reservations", key: "id") { owner in
                "SELECT id FROM quota_reservations WHERE user_id = \(owner) ORDER BY expires_at"
            },
            // Other people's cursors at one of these numbers must stay valid.
            EraseStep("changes", table: "changes", key: "seq", before: Changes.keepNewest()) { owner in
                "SELECT seq FROM changes WHERE principal_id = \(owner) ORDER BY seq"
            },
        ],
        // After the rows from which the cleanup makes them.
        [
            EraseStep("change_horizons", table: "change_horizons", key: "principal_id") { owner in
                "SELECT principal_id FROM change_horizons WHERE principal_id = \(owner)"
            }
        ],
    ]

    static let statements = groups.joined().flatMap { [$0.count, $0.delete] }
}
