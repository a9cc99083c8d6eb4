// SQL of the keys of addresses that an earlier program wrote: the walk over the users, and where two of them meet.
import ServiceKit
import Storage

enum EmailKeyStatements {
    private static let walkState = Statement(
        "email_keys.state",
        .reads,
        "SELECT text_value, updated_at FROM settings WHERE key = 'email_key_walk'"
    )

    /// How far the walk has come, and when it was begun.
    static func state() -> BoundStatement { walkState.bind() }

    private static let begin = Statement(
        "email_keys.begin",
        .writes,
        ["place": .text, "now": .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('email_key_walk', :place, :now)
        ON CONFLICT (key) DO NOTHING
        """
    )

    static func begin(at place: String, now: Instant) -> BoundStatement { begin.bind(["place": place, "now": now]) }

    private static let advance = Statement(
        "email_keys.advance",
        .writes,
        ["before": .text, "after": .text],
        "UPDATE settings SET text_value = :after WHERE key = 'email_key_walk' AND text_value = :before"
    )

    /// No row affected when another node has moved it.
    static func advance(from before: String, to after: String) -> BoundStatement {
        advance.bind(["before": before, "after": after])
    }

    private static let page = Statement(
        "email_keys.page",
        .reads,
        ["instant": .instant, "id": .text, "limit": .integer],
        """
        SELECT id, email, email_key, created_at FROM users WHERE (created_at, id) > (:instant, :id)
        ORDER BY created_at, id LIMIT :limit
        """
    )

    /// Users in the order in which they came, guests too.
    static func page(after cursor: Cursor, limit: Int64) -> BoundStatement {
        page.bind(["instant": cursor.instant, "id": cursor.id, "limit": limit])
    }

    // MARK: One user

    private static let rekey = Statement(
        "email_keys.rekey",
        .writes,
        ["id": .text, "old": .text, "new": .text],
        """
        UPDATE users SET email_key = :new, former_email_key = COALESCE(former_email_key, :old)
        WHERE id = :id AND email_key = :old AND NOT EXISTS (SELECT 1 FROM users o WHERE o.email_key = :new)
        """
    )

    /// Gives a user another key, unless another user has it.
    static func rekey(user: String, from old: String, to new: String) -> BoundStatement {
        rekey.bind(["id": user, "old": old, "new": new])
    }

    private static let recordConflict = Statement(
        "email_keys.record_conflict",
        .writes,
        ["id": .text, "old": .text, "new": .text],
        """
        INSERT INTO email_key_conflicts (user_id, email_key)
        SELECT id, :new FROM users WHERE id = :id AND email_key = :old
        ON CONFLICT (user_id) DO UPDATE SET email_key = excluded.email_key
        WHERE email_key_conflicts.email_key <> excluded.email_key
        """
    )

    /// Remembers a user that `rekey` left as it was. No row affected where it is known.
    static func recordConflict(user: String, from old: String, to new: String) -> BoundStatement {
        recordConflict.bind(["id": user, "old": old, "new": new])
    }

    private static let clearConflict = Statement(
        "email_keys.clear_conflict",
        .writes,
        ["id": .text, "new": .text],
        """
        DELETE FROM email_key_conflicts
        WHERE user_id = :id AND EXISTS (SELECT 1 FROM users u WHERE u.id = :id AND u.email_key = :new)
        """
    )

    /// Forgets a conflict that is over.
    static func clearConflict(user: String, to new: String) -> BoundStatement {
        clearConflict.bind(["id": user, "new": new])
    }

    private static let conflictPage = Statement(
        "email_keys.conflicts",
        .reads,
        ["after": .text, "limit": .integer]
    ) { engine in
        """
        SELECT c.user_id, c.email_key AS wanted_key, u.email, u.email_key, u.created_at,
            o.id AS holder_id, o.email AS holder_email, o.created_at AS holder_created_at
        FROM (
            SELECT user_id, email_key FROM email_key_conflicts WHERE user_id > :after ORDER BY user_id LIMIT :limit
        ) AS c \(OnePlan.each("users", as: "u", where: "u.id = c.user_id", engine))
        \(OnePlan.eachOrNone("users", as: "o", where: "o.email_key = c.email_key", engine))
        ORDER BY c.user_id
        """
    }

    /// Users who kept their key, each with the user who has the other one; without one where that user is gone since.
    static func conflicts(after user: String, limit: Int64) -> BoundStatement {
        conflictPage.bind(["after": user, "limit": limit])
    }

    static let all = [walkState, begin, advance, page, rekey, recordConflict, clearConflict, conflictPage]
}
