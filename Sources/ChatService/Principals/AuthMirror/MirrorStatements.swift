// SQL of the cursor in auth's feed, and of the events' effects on principals. Each effect requires that this
// transaction's first statement has moved the cursor: its token is unique.
import ServiceKit
import Storage

enum MirrorStatements {
    private static let cursor = Statement(
        "mirror.place",
        .reads,
        ["name": .text],
        "SELECT cursor FROM auth_feed WHERE name = :name"
    )

    static func cursor(of selection: FeedSelection) -> BoundStatement { cursor.bind(["name": selection.rawValue]) }

    private static let advance = Statement(
        "mirror.move",
        .writes,
        ["name": .text, "from": .text, "to": .text, "token": .text, "now": .instant],
        """
        UPDATE auth_feed SET cursor = :to, mover = :token, moved_at = :now
        WHERE name = :name AND cursor = :from
        """
    )

    /// Affects nothing if another transaction has moved the cursor.
    static func advance(
        selection: FeedSelection,
        from: String,
        to: String,
        by token: String,
        at now: Instant
    ) -> BoundStatement {
        advance.bind(["name": selection.rawValue, "from": from, "to": to, "token": token, "now": now])
    }

    private static let isAdvanced = "EXISTS (SELECT 1 FROM auth_feed WHERE mover = :token)"

    private static let profile = Statement(
        "mirror.profile",
        .writes,
        [
            "id": .text, "has_name": .boolean, "name": .text, "has_avatar": .boolean, "avatar": .text, "at": .instant,
            "token": .text,
        ],
        """
        INSERT INTO principals (id, kind, display_name, avatar_url, first_seen_at, last_seen_at)
        SELECT :id, 'user', :name, :avatar, :at, :at WHERE \(isAdvanced)
        ON CONFLICT (id) DO UPDATE SET
            display_name = CASE WHEN :has_name THEN excluded.display_name ELSE principals.display_name END,
            avatar_url = CASE WHEN :has_avatar THEN excluded.avatar_url ELSE principals.avatar_url END
        WHERE principals.erased_at IS NULL
        """
    )

    /// An unknown user gets a row, or the name would be lost before the first request.
    static func profile(
        of user: String,
        name: Patch<String>,
        avatarURL: Patch<String>,
        at instant: Instant,
        advanceToken: String
    ) -> BoundStatement {
        profile.bind([
            "id": user, "has_name": name.isPresent, "name": name.value, "has_avatar": avatarURL.isPresent,
            "avatar": avatarURL.value, "at": instant, "token": advanceToken,
        ])
    }

    private static let activity = Statement(
        "mirror.activity",
        .writes,
        ["id": .text, "is_active": .boolean, "deactivated_at": .instant, "at": .instant, "token": .text],
        """
        INSERT INTO principals (id, kind, is_active, deactivated_at, first_seen_at, last_seen_at)
        SELECT :id, 'user', :is_active, :deactivated_at, :at, :at WHERE \(isAdvanced)
        ON CONFLICT (id) DO UPDATE SET is_active = excluded.is_active, deactivated_at = excluded.deactivated_at
        WHERE principals.erased_at IS NULL
        """
    )

    static func deactivate(user: String, at instant: Instant, advanceToken: String) -> BoundStatement {
        activity.bind(["id": user, "is_active": false, "deactivated_at": instant, "at": instant, "token": advanceToken])
    }

    static func reactivate(user: String, at instant: Instant, advanceToken: String) -> BoundStatement {
        activity.bind([
            "id": user, "is_active": true, "deactivated_at": SQLValue.null, "at": instant, "token": advanceToken,
        ])
    }

    private static let markErased = Statement(
        "mirror.entomb",
        .writes,
        ["id": .text, "now": .instant, "token": .text],
        """
        INSERT INTO principals (id, kind, first_seen_at, last_seen_at, erased_at)
        SELECT :id, 'user', :now, :now, :now WHERE \(isAdvanced)
        ON CONFLICT (id) DO UPDATE SET \(PrincipalStatements.tombstone(at: "excluded.erased_at"))
        WHERE principals.erased_at IS NULL
        """
    )

    /// A tombstone also for an unknown user: a token that is still valid must not make a principal.
    static func markErased(user: String, at now: Instant, advanceToken: String) -> BoundStatement {
        markErased.bind(["id": user, "now": now, "token": advanceToken])
    }

    private static let forgetInactivity = Statement(
        "mirror.forget_inactivity",
        .writes,
        ["limit": .integer],
        """
        UPDATE principals SET is_active = TRUE, deactivated_at = NULL WHERE id IN (
            SELECT p.id FROM principals p WHERE p.deactivated_at IS NOT NULL AND p.erased_at IS NULL LIMIT :limit
        )
        """
    )

    static func forgetInactivity(limit: Int) -> BoundStatement { forgetInactivity.bind(["limit": limit]) }

    static let all = [cursor, advance, profile, activity, markErased, forgetInactivity]
}
