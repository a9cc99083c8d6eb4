// SQL of `changes` and `change_feed`. Triggers write the rows; see migrations.
import ServiceKit
import Storage

enum ChangeStatements {
    private static let after = Statement(
        "changes.after",
        .reads,
        ["principal": .text, "after": .integer, "limit": .integer]
    ) { engine in
        """
        SELECT seq, entity, entity_id, conversation_id, op, version, at FROM changes
        WHERE \(OnePlan.rows(of: "principal_id", is: ":principal", past: "seq", after: ":after", engine))
        ORDER BY principal_id, seq LIMIT :limit
        """
    }

    /// By the index of one principal, whose numbers become visible in order.
    static func after(seq: Int64, principal: String, limit: Int) -> BoundStatement {
        after.bind(["principal": principal, "after": seq, "limit": limit])
    }

    private static let state = Statement(
        "changes.state",
        .reads,
        ["principal": .text],
        """
        SELECT epoch, newest, (SELECT MAX(seq) FROM changes) AS newest_here,
            (SELECT h.seq FROM change_horizons h WHERE h.principal_id = :principal) AS horizon
        FROM change_feed WHERE name = 'changes'
        """
    )

    /// The edges of the log: its epoch, the greatest number ever, and the horizon of one principal.
    static func state(principal: String?) -> BoundStatement { state.bind(["principal": principal]) }

    private static let recent = Statement(
        "changes.recent",
        .reads,
        ["after": .integer, "limit": .integer],
        "SELECT seq, principal_id FROM changes WHERE seq > :after ORDER BY seq LIMIT :limit"
    )

    /// Changes of all principals, to wake streams. Their numbers become visible in any order.
    static func recent(after seq: Int64, limit: Int64) -> BoundStatement {
        recent.bind(["after": seq, "limit": limit])
    }

    private static let notice = Statement("changes.notify", .appends(Changes.log), "SELECT 1 AS notified")

    /// Notifies the other nodes. The effect does it, not the text.
    static func notify() -> BoundStatement { notice.bind() }

    private static let newest = Statement(
        "changes.keep_newest",
        .writes,
        """
        UPDATE change_feed SET newest = CASE
            WHEN newest < (SELECT MAX(seq) FROM changes) THEN (SELECT MAX(seq) FROM changes) ELSE newest
        END
        WHERE name = 'changes'
        """
    )

    /// Records the greatest number before rows are removed, so that cursors at it stay valid. A transaction that
    /// removes changes starts with it: two of them serialise on this row and never wait for each other's rows.
    static func keepNewest() -> BoundStatement { newest.bind() }

    // `WHERE TRUE`: after a SELECT, SQLite takes ON for a join's.
    private static let raiseHorizons = Statement(
        "changes.raise_horizons",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        INSERT INTO change_horizons (principal_id, seq)
        SELECT batch.principal_id, MAX(batch.seq)
        FROM (SELECT principal_id, seq FROM changes WHERE at < :before ORDER BY at LIMIT :limit) AS batch
        WHERE TRUE
        GROUP BY batch.principal_id ORDER BY batch.principal_id
        ON CONFLICT (principal_id) DO UPDATE SET seq = excluded.seq WHERE change_horizons.seq < excluded.seq
        """
    )

    /// Moves the horizons of the batch's principals; none ever falls.
    private static let deleteBefore = Statement(
        "changes.delete_before",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM changes WHERE seq IN (
            SELECT batch.seq
            FROM (SELECT principal_id, seq FROM changes WHERE at < :before ORDER BY at LIMIT :limit) AS batch
            WHERE batch.seq <= (SELECT h.seq FROM change_horizons h WHERE h.principal_id = batch.principal_id)
        )
        """
    )

    /// Removes expired changes. Concurrent nodes do no harm.
    ///
    /// First it moves the horizons of the batch's principals; none ever falls. Then it removes the rows, never beyond a
    /// horizon, whatever another node deleted in between.
    static func cleanup(retention: Duration) -> CleanupStep {
        CleanupStep("chat_changes") { transaction, now, limit in
            let batch: StatementValues = ["before": now - retention, "limit": limit]
            transaction.add(keepNewest())
            transaction.add(raiseHorizons.bind(batch))
            return [transaction.add(deleteBefore.bind(batch))]
        }
    }

    static let erasure = [
        // Other people's cursors at one of these numbers must stay valid.
        ErasureStep(
            "changes",
            before: keepNewest(),
            keys: { owner in
                """
                SELECT seq FROM changes
                WHERE \(OnePlan.group("principal_id", is: owner)) ORDER BY principal_id, seq
                """
            },
            delete: { "DELETE FROM changes WHERE \(OnePlan.among("seq", $0, $1))" }
        ),
        // After the rows from which the cleanup makes them.
        ErasureStep(
            "change_horizons",
            keys: { owner in "SELECT principal_id FROM change_horizons WHERE principal_id = \(owner)" },
            delete: { "DELETE FROM change_horizons WHERE \(OnePlan.among("principal_id", $0, $1))" }
        ),
    ]

    private static let beginEpoch = Statement(
        "changes.begin_epoch",
        .writes,
        ["epoch": .text],
        "UPDATE change_feed SET epoch = :epoch WHERE name = 'changes'"
    )

    static func begin(epoch: String) -> BoundStatement { beginEpoch.bind(["epoch": epoch]) }

    static let all = [after, state, recent, notice, newest, raiseHorizons, deleteBefore, beginEpoch]
}
