// SQL of the cursor in auth's feed, and of the events' effects on principals. Each effect requires that this
// transaction's first statement has moved the cursor: its token is unique.
import Storage

enum MirrorStatements {
    static let cursor = Statement(
        "mirror.place",
        .reads,
        [.text],
        "SELECT cursor FROM auth_feed WHERE name = $1"
    )

    static let advance = Statement(
        "mirror.move",
        .writes,
        [.text, .text, .text, .text, .instant],
        "UPDATE auth_feed SET cursor = $3, mover = $4, moved_at = $5 WHERE name = $1 AND cursor = $2"
    )

    private static func isMoved(by parameter: String) -> String {
        "EXISTS (SELECT 1 FROM auth_feed WHERE mover = \(parameter))"
    }

    /// An unknown user gets a row, or the name would be lost before the first request.
    static let profile = Statement(
        "mirror.profile",
        .writes,
        [.text, .boolean, .text, .boolean, .text, .instant, .text],
        """
        INSERT INTO principals (id, kind, display_name, avatar_url, first_seen_at, last_seen_at)
        SELECT $1, 'user', $3, $5, $6, $6 WHERE \(isMoved(by: "$7"))
        ON CONFLICT (id) DO UPDATE SET
            display_name = CASE WHEN $2 THEN excluded.display_name ELSE principals.display_name END,
            avatar_url = CASE WHEN $4 THEN excluded.avatar_url ELSE principals.avatar_url END
        WHERE principals.erased_at IS NULL
        """
    )

    static let activity = Statement(
        "mirror.activity",
        .writes,
        [.text, .boolean, .instant, .instant, .text],
        """
        INSERT INTO principals (id, kind, is_active, deactivated_at, first_seen_at, last_seen_at)
        SELECT $1, 'user', $2, $3, $4, $4 WHERE \(isMoved(by: "$5"))
        ON CONFLICT (id) DO UPDATE SET is_active = excluded.is_active, deactivated_at = excluded.deactivated_at
        WHERE principals.erased_at IS NULL
        """
    )

    /// A tombstone also for an unknown user: a token that is still valid must not make a principal.
    static let markErased = Statement(
        "mirror.entomb",
        .writes,
        [.text, .instant, .text],
        """
        INSERT INTO principals (id, kind, first_seen_at, last_seen_at, erased_at)
        SELECT $1, 'user', $2, $2, $2 WHERE \(isMoved(by: "$3"))
        ON CONFLICT (id) DO UPDATE SET \(PrincipalStatements.tombstone("excluded.erased_at"))
        WHERE principals.erased_at IS NULL
        """
    )

    static let forgetInactivity = Statement(
        "mirror.forget_inactivity",
        .writes,
        [.integer],
        """
        UPDATE principals SET is_active = TRUE, deactivated_at = NULL WHERE id IN (
            SELECT p.id FROM principals p WHERE p.deactivated_at IS NOT NULL AND p.erased_at IS NULL LIMIT $1
        )
        """
    )

    static let all = [cursor, advance, profile, activity, markErased, forgetInactivity]
}
