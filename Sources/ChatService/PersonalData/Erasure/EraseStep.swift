// What an erase removes, table by table. A table with anything of a person in it has a step here; a test greps the
// database for a marker afterwards.
//
// A step names the rows, and its two statements are made from that: one counts what the other removes, in one unit, so
// the receipt is exact whatever dies in between. Both find the person through the erasure and only while the tombstone
// stands: no mistake of a caller makes them remove the rows of somebody who was not erased.
import Storage

/// Rows of one table that go with their owner.
struct EraseStep: Sendable {
    /// Rows in one unit.
    static let batch = 500

    /// As the receipt calls them.
    let entity: String
    private let count: Statement
    private let delete: Statement
    /// Runs before both.
    private let before: BoundStatement?

    /// Removes up to `batch` rows of an erasure.
    ///
    /// - Returns: how many rows went.
    func run(_ erasure: String, in database: any SQLDatabase) async throws -> Int {
        var transaction = Transaction()
        transaction.add(ErasureStatements.lock(erasure: erasure))
        if let before { transaction.add(before) }
        transaction.add(count.bind(["erasure": erasure]))
        let deleted = transaction.add(delete.bind(["erasure": erasure]))
        return try await database.run(transaction, priority: .long)[deleted].affected
    }

    /// - Parameters:
    ///   - entity: as the receipt calls the rows.
    ///   - table: where they are.
    ///   - key: the primary key, in parentheses where it is several columns.
    ///   - before: what runs first in each transaction.
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

    /// Likewise, where the rows are measured.
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
        func selection(_ engine: SQLEngine) -> String { "\(rows(owner, engine)) LIMIT \(Self.batch)" }
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

    /// Groups in order; the steps of one group take turns until none of them finds anything.
    static let groups: [[EraseStep]] = [
        // What would go along with other rows, any number of them in one statement.
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
        // Messages before their conversation, which would take any number of them along in one statement. Both look at
        // the first conversations only, and an empty one goes before the next look: nothing is looked through twice.
        [
            EraseStep("messages", table: "messages", key: "id") { owner, engine in
                let first = "SELECT c.id FROM conversations c WHERE c.owner_id = \(owner) ORDER BY c.id LIMIT 20"
                return "\(MessageBatch.rows(engine, of: first)) SELECT batch.id FROM batch ORDER BY batch.number"
            },
            EraseStep("conversations", table: "conversations", key: "id") { owner in
                """
                SELECT first.id FROM (
                    SELECT c.id FROM conversations c WHERE c.owner_id = \(owner) ORDER BY c.id LIMIT \(batch)
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
            // Others' cursors may stand at a number of this person's, and stay good.
            EraseStep("changes", table: "changes", key: "seq", before: Changes.keepNewest()) { owner in
                "SELECT seq FROM changes WHERE principal_id = \(owner) ORDER BY seq"
            },
        ],
        // After the rows that the cleanup makes them from.
        [
            EraseStep("change_horizons", table: "change_horizons", key: "principal_id") { owner in
                "SELECT principal_id FROM change_horizons WHERE principal_id = \(owner)"
            }
        ],
    ]

    /// Every statement of the steps, for the suites that try each.
    static let statements = groups.joined().flatMap { [$0.count, $0.delete] }
}
