// SQL of `changes` and `change_feed`. Rows are written by triggers; see migrations.
import Storage

enum ChangeStatements {
    private static let after = Statement(
        "changes.after",
        .reads,
        ["principal": .text, "after": .integer, "limit": .integer],
        """
        SELECT seq, entity, entity_id, conversation_id, op, version, at FROM changes
        WHERE principal_id = :principal AND seq > :after ORDER BY seq LIMIT :limit
        """
    )

    /// Along the index of one principal, whose numbers become visible in their order.
    static func after(_ seq: Int64, principal: String, limit: Int) -> BoundStatement {
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

    /// The edges of the log: its epoch, the greatest number of any principal, removed rows included, and the horizon of
    /// one principal.
    static func state(principal: String?) -> BoundStatement { state.bind(["principal": principal]) }

    private static let recent = Statement(
        "changes.recent",
        .reads,
        ["after": .integer, "limit": .integer],
        "SELECT seq, principal_id FROM changes WHERE seq > :after ORDER BY seq LIMIT :limit"
    )

    /// Changes of every principal, for waking streams. Numbers of different people become visible in any order.
    static func recent(after seq: Int64, limit: Int64) -> BoundStatement {
        recent.bind(["after": seq, "limit": limit])
    }

    private static let notice = Statement("changes.notify", .appends(Changes.log), "SELECT 1 AS notified")

    /// Notifies the other nodes that there may be a change. The effect does it; the text does nothing.
    static func notify() -> BoundStatement { notice.bind() }

    // MARK: Removing

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

    /// Records the greatest number of any principal before rows go, so that cursors at it stay valid. A transaction that
    /// removes changes starts with it: two of them take turns at this row and never wait for each other's rows.
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

    /// Moves the horizons of the principals whose rows are in the batch that is about to go; none ever falls.
    static func raiseHorizons(before: Instant, limit: Int64) -> BoundStatement {
        raiseHorizons.bind(["before": before, "limit": limit])
    }

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

    /// Removes old changes, never beyond a horizon, whatever another node deleted since the statement before this one.
    static func delete(before: Instant, limit: Int64) -> BoundStatement {
        deleteBefore.bind(["before": before, "limit": limit])
    }

    private static let beginEpoch = Statement(
        "changes.begin_epoch",
        .writes,
        ["epoch": .text],
        "UPDATE change_feed SET epoch = :epoch WHERE name = 'changes'"
    )

    static func begin(epoch: String) -> BoundStatement { beginEpoch.bind(["epoch": epoch]) }

    static let all = [after, state, recent, notice, newest, raiseHorizons, deleteBefore, beginEpoch]
}
