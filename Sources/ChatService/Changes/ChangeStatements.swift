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

    /// The edges of the log: its name, what may be gone, and the greatest number there is, of whomever.
    static let state = Statement(
        "changes.state",
        .reads,
        [],
        """
        SELECT epoch, horizon, (SELECT MAX(seq) FROM changes) AS newest FROM change_feed WHERE name = 'changes'
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

    // MARK: Cleanup

    /// Moves the horizon beyond the batch that is about to go; it never falls.
    static let raiseHorizon = Statement(
        "changes.raise_horizon",
        .writes,
        [.instant, .integer],
        """
        UPDATE change_feed SET horizon = (
            SELECT MAX(seq) FROM (SELECT seq FROM changes WHERE at < $1 ORDER BY at LIMIT $2) AS batch
        )
        WHERE name = 'changes' AND horizon < (
            SELECT MAX(seq) FROM (SELECT seq FROM changes WHERE at < $1 ORDER BY at LIMIT $2) AS batch
        )
        """
    )

    /// Never beyond the horizon, whatever another node deleted since the statement before this one looked.
    static let deleteBefore = Statement(
        "changes.delete_before",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM changes WHERE seq IN (
            SELECT seq FROM changes
            WHERE at < $1 AND seq <= (SELECT horizon FROM change_feed WHERE name = 'changes')
            ORDER BY at LIMIT $2
        )
        """
    )

    static let beginEpoch = Statement(
        "changes.begin_epoch",
        .writes,
        [.text],
        "UPDATE change_feed SET epoch = $1 WHERE name = 'changes'"
    )

    static let all = [after, state, recent, notify, raiseHorizon, deleteBefore, beginEpoch]
}
