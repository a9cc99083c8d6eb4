// SQL to read the event log: epoch, pages, edges and cleanup.
import ServiceKit
import Storage

enum EventLogStatements {

    private static let currentEpoch = Statement(
        "events.epoch",
        .reads,
        "SELECT text_value FROM settings WHERE key = 'event_epoch' AND text_value IS NOT NULL"
    )

    static func epoch() -> BoundStatement { currentEpoch.bind() }

    private static let nameEpoch = Statement(
        "events.name_epoch",
        .writes,
        ["name": .text, "now": .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('event_epoch', :name, :now)
        ON CONFLICT (key) DO NOTHING
        """
    )

    /// Of concurrent first nodes, one names the epoch.
    static func nameEpoch(name: String, at now: Instant) -> BoundStatement {
        nameEpoch.bind(["name": name, "now": now])
    }

    private static let beginEpoch = Statement(
        "events.begin_epoch",
        .writes,
        ["name": .text, "now": .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('event_epoch', :name, :now)
        ON CONFLICT (key) DO UPDATE SET text_value = excluded.text_value, updated_at = excluded.updated_at
        RETURNING text_value
        """
    )

    static func beginEpoch(name: String, at now: Instant) -> BoundStatement {
        beginEpoch.bind(["name": name, "now": now])
    }

    private static let after = Statement(
        "events.after",
        .reads,
        ["seq": .integer, "limit": .integer],
        "SELECT seq, at, kind, user_id, session_id, data FROM events WHERE seq > :seq ORDER BY seq LIMIT :limit"
    )

    static func after(seq: Int64, limit: Int) -> BoundStatement { after.bind(["seq": seq, "limit": limit]) }

    private static let edges = Statement(
        "events.state",
        .reads,
        """
        SELECT (SELECT MAX(seq) FROM events) AS newest,
            (SELECT text_value FROM settings WHERE key = 'event_epoch') AS epoch,
            (SELECT integer_value FROM settings WHERE key = 'event_horizon') AS horizon,
            (SELECT updated_at FROM settings WHERE key = 'event_horizon') AS kept_since
        """
    )

    /// In one row, with NULL for what does not exist yet.
    static func state() -> BoundStatement { edges.bind() }

    // Not `MIN(seq)`: PostgreSQL would walk the log in order up to the first row that is young enough.
    private static let firstSince = Statement(
        "events.first_since",
        .reads,
        ["moment": .instant],
        "SELECT MIN(seq + 0) AS first_seq FROM events WHERE at >= :moment"
    )

    static func first(since moment: Instant) -> BoundStatement { firstSince.bind(["moment": moment]) }

    private static let raiseHorizon = Statement(
        "events.raise_horizon",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        INSERT INTO settings (key, integer_value, updated_at)
        SELECT 'event_horizon', last_seq, :before FROM (
            SELECT MAX(seq) AS last_seq FROM (
                SELECT seq FROM events WHERE at < :before AND kind <> 'user.deleted' ORDER BY at LIMIT :limit
            ) AS batch
        ) AS newest WHERE last_seq IS NOT NULL
        ON CONFLICT (key) DO UPDATE SET
            integer_value = CASE WHEN settings.integer_value > excluded.integer_value
                THEN settings.integer_value ELSE excluded.integer_value END,
            updated_at = CASE WHEN settings.updated_at > excluded.updated_at
                THEN settings.updated_at ELSE excluded.updated_at END
        """
    )

    private static let deleteBefore = Statement(
        "events.delete_before",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM events WHERE seq IN (
            SELECT seq FROM events WHERE at < :before AND kind <> 'user.deleted'
                AND seq <= (SELECT integer_value FROM settings WHERE key = 'event_horizon')
            ORDER BY at LIMIT :limit
        )
        """
    )

    /// First moves the horizon beyond the batch: `integer_value` is the greatest number that may be gone, and
    /// `updated_at` the moment before which events may be gone. Neither ever falls. So the batch stays behind the
    /// horizon, whatever another node deletes in between.
    static func cleanup(retention: Duration) -> CleanupStep {
        CleanupStep("events") { transaction, now, limit in
            transaction.add(raiseHorizon.bind(["before": now - retention, "limit": limit]))
            return [transaction.add(deleteBefore.bind(["before": now - retention, "limit": limit]))]
        }
    }

    static let all = [currentEpoch, nameEpoch, beginEpoch, after, edges, firstSince, raiseHorizon, deleteBefore]
}
