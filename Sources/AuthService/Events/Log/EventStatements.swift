// SQL to append to the event log. An event is inserted only if its cause came true.
//
// Ids have no character that JSON would escape (RowID), so they may be concatenated.
import Storage

enum EventStatements {
    private static let sessionRevoked = Statement(
        "events.session_revoked",
        .appends(Events.log),
        ["now": .instant, "session": .text],
        """
        INSERT INTO events (at, kind, user_id, session_id, data)
        SELECT :now, 'session.revoked', user_id, id, '{"sid":"' || id || '"}'
        FROM sessions WHERE id = :session AND revoked_at IS NULL
        """
    )

    static func sessionRevoked(session: String, at now: Instant) -> BoundStatement {
        sessionRevoked.bind(["now": now, "session": session])
    }

    private static let aboutUser = Statement(
        "events.about_user",
        .appends(Events.log),
        ["now": .instant, "kind": .text, "user": .text, "data": .text],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT :now, :kind, id, :data FROM users WHERE id = :user
        """
    )

    static func about(user: String, kind: EventKind, data: String, at now: Instant) -> BoundStatement {
        aboutUser.bind(["now": now, "kind": kind.rawValue, "user": user, "data": data])
    }

    private static let userTokensRevoked = Statement(
        "events.user_tokens_revoked",
        .appends(Events.log),
        ["now": .instant, "user": .text, "marker": .instant, "except": .text],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT :now, 'user.tokens_revoked', id,
            '{"user_id":"' || id || '","min_ver":' || CAST(token_version AS TEXT)
            || CASE WHEN :except IS NULL THEN '' ELSE ',"except_sid":"' || :except || '"' END || '}'
        FROM users WHERE id = :user AND updated_at = :marker
        """
    )

    static func tokensRevoked(
        ofUser user: String,
        exceptSession session: String?,
        marker: Instant,
        at now: Instant
    ) -> BoundStatement {
        userTokensRevoked.bind(["now": now, "user": user, "marker": marker, "except": session])
    }

    private static let userChanged = Statement(
        "events.user_changed",
        .appends(Events.log),
        ["now": .instant, "kind": .text, "user": .text, "marker": .instant],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT :now, :kind, id, '{"user_id":"' || id || '"}'
        FROM users WHERE id = :user AND updated_at = :marker
        """
    )

    static func changed(user: String, kind: EventKind, marker: Instant, at now: Instant) -> BoundStatement {
        userChanged.bind(["now": now, "kind": kind.rawValue, "user": user, "marker": marker])
    }

    private static let allTokensRevoked = Statement(
        "events.all_tokens_revoked",
        .appends(Events.log),
        ["now": .instant],
        """
        INSERT INTO events (at, kind, data)
        SELECT :now, 'all.tokens_revoked', '{"min_gver":' || CAST(integer_value AS TEXT) || '}'
        FROM settings WHERE key = 'global_token_version'
        """
    )

    static func allTokensRevoked(at now: Instant) -> BoundStatement { allTokensRevoked.bind(["now": now]) }

    private static let aboutKey = Statement(
        "events.about_key",
        .appends(Events.log),
        ["now": .instant, "kind": .text, "data": .text, "kid": .text, "state": .text],
        """
        INSERT INTO events (at, kind, data)
        SELECT :now, :kind, :data FROM signing_keys
        WHERE kid = :kid AND state = :state AND (activated_at = :now OR retired_at = :now)
        """
    )

    static func about(
        key kid: String,
        inState state: String,
        kind: EventKind,
        data: String,
        at now: Instant
    ) -> BoundStatement {
        aboutKey.bind(["now": now, "kind": kind.rawValue, "data": data, "kid": kid, "state": state])
    }

    private static let clientChanged = Statement(
        "events.client_changed",
        .appends(Events.log),
        ["now": .instant, "client": .text, "data": .text, "marker": .instant],
        """
        INSERT INTO events (at, kind, data)
        SELECT :now, 'client.tokens_revoked', :data FROM clients WHERE id = :client AND updated_at = :marker
        """
    )

    static func changed(client: String, data: String, marker: Instant, at now: Instant) -> BoundStatement {
        clientChanged.bind(["now": now, "client": client, "data": data, "marker": marker])
    }

    static let all = [
        sessionRevoked, aboutUser, userTokensRevoked, userChanged, allTokensRevoked, aboutKey, clientChanged,
    ]
}
