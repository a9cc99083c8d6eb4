// SQL of the event log.
import Storage

enum EventStatements {
    static let sessionRevoked = Statement(
        "events.session_revoked",
        .appends(Events.log),
        [.instant, .text],
        """
        INSERT INTO events (at, kind, user_id, session_id, data)
        SELECT $1, 'session.revoked', user_id, id, '{"sid":"' || id || '"}'
        FROM sessions WHERE id = $2 AND revoked_at IS NULL
        """
    )

    static let aboutUser = Statement(
        "events.about_user",
        .appends(Events.log),
        [.instant, .text, .text, .text],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT $1, $2, id, $4 FROM users WHERE id = $3
        """
    )

    // Ids have no character that JSON would escape (RowID), so they may be concatenated.
    static let userTokensRevoked = Statement(
        "events.user_tokens_revoked",
        .appends(Events.log),
        [.instant, .text, .instant, .text],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT $1, 'user.tokens_revoked', id,
            '{"user_id":"' || id || '","min_ver":' || CAST(token_version AS TEXT)
            || CASE WHEN $4 IS NULL THEN '' ELSE ',"except_sid":"' || $4 || '"' END || '}'
        FROM users WHERE id = $2 AND updated_at = $3
        """
    )

    static let userChanged = Statement(
        "events.user_changed",
        .appends(Events.log),
        [.instant, .text, .text, .instant],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT $1, $2, id, '{"user_id":"' || id || '"}'
        FROM users WHERE id = $3 AND updated_at = $4
        """
    )

    static let allTokensRevoked = Statement(
        "events.all_tokens_revoked",
        .appends(Events.log),
        [.instant],
        """
        INSERT INTO events (at, kind, data)
        SELECT $1, 'all.tokens_revoked', '{"min_gver":' || CAST(integer_value AS TEXT) || '}'
        FROM settings WHERE key = 'global_token_version'
        """
    )

    static let aboutKey = Statement(
        "events.about_key",
        .appends(Events.log),
        [.instant, .text, .text, .text, .text],
        """
        INSERT INTO events (at, kind, data)
        SELECT $1, $2, $3 FROM signing_keys
        WHERE kid = $4 AND state = $5 AND (activated_at = $1 OR retired_at = $1)
        """
    )

    static let clientDisabled = Statement(
        "events.client_disabled",
        .appends(Events.log),
        [.instant, .text, .text],
        """
        INSERT INTO events (at, kind, data)
        SELECT $1, 'client.tokens_revoked', $3 FROM clients WHERE id = $2 AND disabled_at = $1
        """
    )

    static let clientWillBeDeleted = Statement(
        "events.client_will_be_deleted",
        .appends(Events.log),
        [.instant, .text, .text],
        """
        INSERT INTO events (at, kind, data)
        SELECT $1, 'client.tokens_revoked', $3 FROM clients WHERE id = $2
        """
    )

    // MARK: The epoch

    static let epoch = Statement(
        "events.epoch",
        .reads,
        [],
        "SELECT text_value FROM settings WHERE key = 'event_epoch' AND text_value IS NOT NULL"
    )

    /// Of nodes that ask first at once, one names the epoch.
    static let nameEpoch = Statement(
        "events.name_epoch",
        .writes,
        [.text, .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('event_epoch', $1, $2)
        ON CONFLICT (key) DO NOTHING
        """
    )

    static let beginEpoch = Statement(
        "events.begin_epoch",
        .writes,
        [.text, .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('event_epoch', $1, $2)
        ON CONFLICT (key) DO UPDATE SET text_value = excluded.text_value, updated_at = excluded.updated_at
        RETURNING text_value
        """
    )

    // MARK: Reading

    static let after = Statement(
        "events.after",
        .reads,
        [.integer, .integer],
        "SELECT seq, at, kind, user_id, session_id, data FROM events WHERE seq > $1 ORDER BY seq LIMIT $2"
    )

    /// The edges of the log, in one row. What is not there yet is NULL.
    static let state = Statement(
        "events.state",
        .reads,
        [],
        """
        SELECT (SELECT MAX(seq) FROM events) AS newest,
            (SELECT text_value FROM settings WHERE key = 'event_epoch') AS epoch,
            (SELECT integer_value FROM settings WHERE key = 'event_horizon') AS horizon,
            (SELECT updated_at FROM settings WHERE key = 'event_horizon') AS kept_since
        """
    )

    /// Not simply `MIN(seq)`: PostgreSQL would walk the log in its order up to the first row that is young enough.
    static let firstSince = Statement(
        "events.first_since",
        .reads,
        [.instant],
        "SELECT MIN(seq + 0) AS first_seq FROM events WHERE at >= $1"
    )

    // MARK: Cleanup

    /// Moves the horizon beyond the batch that is about to go. `integer_value` is the greatest number that may be gone,
    /// and `updated_at` the moment before which events may be gone; neither ever falls.
    static let raiseHorizon = Statement(
        "events.raise_horizon",
        .writes,
        [.instant, .integer],
        """
        INSERT INTO settings (key, integer_value, updated_at)
        SELECT 'event_horizon', last_seq, $1 FROM (
            SELECT MAX(seq) AS last_seq FROM (
                SELECT seq FROM events WHERE at < $1 AND kind <> 'user.deleted' ORDER BY at LIMIT $2
            ) AS batch
        ) AS newest WHERE last_seq IS NOT NULL
        ON CONFLICT (key) DO UPDATE SET
            integer_value = CASE WHEN settings.integer_value > excluded.integer_value
                THEN settings.integer_value ELSE excluded.integer_value END,
            updated_at = CASE WHEN settings.updated_at > excluded.updated_at
                THEN settings.updated_at ELSE excluded.updated_at END
        """
    )

    /// Never beyond the horizon, whatever another node deleted since the statement before this one looked.
    static let deleteBefore = Statement(
        "events.delete_before",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM events WHERE seq IN (
            SELECT seq FROM events WHERE at < $1 AND kind <> 'user.deleted'
                AND seq <= (SELECT integer_value FROM settings WHERE key = 'event_horizon')
            ORDER BY at LIMIT $2
        )
        """
    )

    static let all = [
        sessionRevoked, aboutUser, userTokensRevoked, userChanged, allTokensRevoked, aboutKey,
        clientDisabled, clientWillBeDeleted, epoch,
        nameEpoch, beginEpoch, after, state, firstSince, raiseHorizon, deleteBefore,
    ]
}
