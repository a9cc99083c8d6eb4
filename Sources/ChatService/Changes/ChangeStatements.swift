// SQL of `changes` and `change_feed`. Rows are written by triggers; see migrations.
import Storage

enum ChangeStatements {
    /// Along the index of one principal, whose numbers become visible in their order.
    static let after = Statement(
        "changes.after",
        .reads,
        [.text, .integer, .integer],
        """
        SELECT seq, entity, entity_id, conversation_id, op, version, at FROM changes
        WHERE principal_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
        """
    )

    /// The edges of the log: its name, the greatest number there is or was, of whomever, and what may be gone of one
    /// person's.
    static let state = Statement(
        "changes.state",
        .reads,
        [.text],
        """
        SELECT epoch, newest, (SELECT MAX(seq) FROM changes) AS newest_here,
            (SELECT h.seq FROM change_horizons h WHERE h.principal_id = $1) AS horizon
        FROM change_feed WHERE name = 'changes'
        """
    )

    /// Everybody's, for waking; numbers of different people become visible in any order.
    static let recent = Statement(
        "changes.recent",
        .reads,
        [.integer, .integer],
        "SELECT seq, principal_id FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2"
    )

    /// Says to the other nodes that there may be something. The effect does it; the text does nothing.
    static let notify = Statement("changes.notify", .appends(Changes.log), [], "SELECT 1 AS notified")

    // MARK: Removing

    /// Remembers the greatest number before rows go, whosever: cursors at it stay good. The first that a unit which
    /// removes changes does to the feed: two of them take turns at this row and never wait for each other's.
    static let keepNewest = Statement(
        "changes.keep_newest",
        .writes,
        [],
        """
        UPDATE change_feed SET newest = CASE
            WHEN newest < (SELECT MAX(seq) FROM changes) THEN (SELECT MAX(seq) FROM changes) ELSE newest
        END
        WHERE name = 'changes'
        """
    )

    // `WHERE TRUE`: after a SELECT, SQLite takes ON for a join's.
    /// Moves the horizons of the people whose rows are in the batch that is about to go; none ever falls.
    static let raiseHorizons = Statement(
        "changes.raise_horizons",
        .writes,
        [.instant, .integer],
        """
        INSERT INTO change_horizons (principal_id, seq)
        SELECT batch.principal_id, MAX(batch.seq)
        FROM (SELECT principal_id, seq FROM changes WHERE at < $1 ORDER BY at LIMIT $2) AS batch
        WHERE TRUE
        GROUP BY batch.principal_id ORDER BY batch.principal_id
        ON CONFLICT (principal_id) DO UPDATE SET seq = excluded.seq WHERE change_horizons.seq < excluded.seq
        """
    )

    /// Never beyond a horizon, whatever another node deleted since the statement before this one looked.
    static let deleteBefore = Statement(
        "changes.delete_before",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM changes WHERE seq IN (
            SELECT batch.seq
            FROM (SELECT principal_id, seq FROM changes WHERE at < $1 ORDER BY at LIMIT $2) AS batch
            WHERE batch.seq <= (SELECT h.seq FROM change_horizons h WHERE h.principal_id = batch.principal_id)
        )
        """
    )

    static let beginEpoch = Statement(
        "changes.begin_epoch",
        .writes,
        [.text],
        "UPDATE change_feed SET epoch = $1 WHERE name = 'changes'"
    )

    static let all = [after, state, recent, notify, keepNewest, raiseHorizons, deleteBefore, beginEpoch]
}
