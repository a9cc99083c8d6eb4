// SQL of `users`. Everything that changes who a user is or what their tokens may do is here.
import Storage

enum UserStatements {
    /// Zero rows when the address is taken: the constraint decides, not a look beforehand.
    static let insert = Statement(
        "users.insert",
        .writes,
        [.text, .text, .text, .text, .text, .text, .instant, .instant],
        """
        INSERT INTO users (id, email, email_key, name, name_key, role, created_at, updated_at, last_login_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
        ON CONFLICT (email_key) DO NOTHING
        RETURNING \(User.columns)
        """
    )

    /// Takes the user's row, which is the lock of everything that makes or ends sessions.
    static let lock = Statement(
        "users.lock",
        .writes,
        [.text],
        "UPDATE users SET token_version = token_version WHERE id = $1"
    )

    static let lockBySession = Statement(
        "users.lock_by_session",
        .writes,
        [.text],
        "UPDATE users SET token_version = token_version WHERE id = (SELECT user_id FROM sessions WHERE id = $1)"
    )

    /// The lock of a login.
    static let touchLogin = Statement(
        "users.touch_login",
        .writes,
        [.text, .instant],
        "UPDATE users SET last_login_at = $2 WHERE id = $1"
    )

    static let byID = Statement("users.by_id", .reads, [.text], "SELECT \(User.columns) FROM users WHERE id = $1")

    static let byEmailKey = Statement(
        "users.by_email_key",
        .reads,
        [.text],
        "SELECT \(User.columns) FROM users WHERE email_key = $1"
    )

    /// `$n` and a flag for each field: a field that the caller did not send stays as it is.
    static let updateProfile = Statement(
        "users.update_profile",
        .writes,
        [
            .text, .instant, .boolean, .text, .text, .boolean, .text, .boolean, .text, .boolean, .text, .boolean, .text,
        ],
        """
        UPDATE users SET
            name = CASE WHEN $3 THEN $4 ELSE name END,
            name_key = CASE WHEN $3 THEN $5 ELSE name_key END,
            first_name = CASE WHEN $6 THEN $7 ELSE first_name END,
            last_name = CASE WHEN $8 THEN $9 ELSE last_name END,
            avatar_url = CASE WHEN $10 THEN $11 ELSE avatar_url END,
            metadata = CASE WHEN $12 THEN $13 ELSE metadata END,
            updated_at = $2
        WHERE id = $1
        RETURNING \(User.columns)
        """
    )

    /// Changes the role unless it is the same already, or would take the last active admin away.
    static let setRole = Statement(
        "users.set_role",
        .writes,
        [.text, .text, .instant],
        """
        UPDATE users SET role = $2, token_version = token_version + 1, updated_at = $3
        WHERE id = $1 AND role <> $2
            AND (role <> 'admin' OR NOT is_active OR EXISTS (
                SELECT 1 FROM users other WHERE other.role = 'admin' AND other.is_active AND other.id <> $1))
        """
    )

    static let deactivate = Statement(
        "users.deactivate",
        .writes,
        [.text, .instant],
        """
        UPDATE users SET is_active = FALSE, deactivated_at = $2, token_version = token_version + 1, updated_at = $2
        WHERE id = $1 AND is_active
            AND (role <> 'admin' OR EXISTS (
                SELECT 1 FROM users other WHERE other.role = 'admin' AND other.is_active AND other.id <> $1))
        """
    )

    static let reactivate = Statement(
        "users.reactivate",
        .writes,
        [.text, .instant],
        "UPDATE users SET is_active = TRUE, deactivated_at = NULL, updated_at = $2 WHERE id = $1 AND NOT is_active"
    )

    /// Makes older tokens of the user stale, if the user's password is the one just set.
    static let bumpVersionIfPassword = Statement(
        "users.bump_version_if_password",
        .writes,
        [.text, .text, .instant],
        """
        UPDATE users SET token_version = token_version + 1, updated_at = $3
        WHERE id = $1 AND EXISTS (
            SELECT 1 FROM accounts
            WHERE accounts.user_id = $1 AND accounts.provider_id = 'password' AND accounts.password_hash = $2)
        """
    )

    static let bumpVersion = Statement(
        "users.bump_version",
        .writes,
        [.text, .instant],
        "UPDATE users SET token_version = token_version + 1, updated_at = $2 WHERE id = $1"
    )

    static let delete = Statement(
        "users.delete",
        .writes,
        [.text],
        """
        DELETE FROM users WHERE id = $1
            AND (role <> 'admin' OR NOT is_active OR EXISTS (
                SELECT 1 FROM users other WHERE other.role = 'admin' AND other.is_active AND other.id <> $1))
        RETURNING id
        """
    )

    /// The event of a deletion, written before the row goes and only if it will go.
    private static let isDeletable = """
        id = $1
            AND (role <> 'admin' OR NOT is_active OR EXISTS (
                SELECT 1 FROM users other WHERE other.role = 'admin' AND other.is_active AND other.id <> $1))
        """

    /// For followers that look at revocations alone: no token of the user has the version that comes after the last.
    static let deletedTokensEvent = Statement(
        "users.deleted_tokens_event",
        .appends(Events.log),
        [.text, .instant],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT $2, 'user.tokens_revoked', id,
            '{"user_id":"' || id || '","min_ver":' || CAST(token_version + 1 AS TEXT) || '}'
        FROM users WHERE \(isDeletable)
        """
    )

    static let deletedEvent = Statement(
        "users.deleted_event",
        .appends(Events.log),
        [.text, .instant],
        """
        INSERT INTO events (at, kind, user_id, data)
        SELECT $2, 'user.deleted', id, '{"user_id":"' || id || '"}' FROM users
        WHERE \(isDeletable)
        """
    )

    // MARK: Lists

    // Newest first. `$1`/`$2` the cursor, `$3` the count, `$4` the state or NULL. Each way of looking is a statement of
    // its own: under `$n IS NULL OR …` a plan that fits every value can use no index for it.
    private static let state = "($4 IS NULL OR is_active = $4)"
    private static let listTypes: [SQLType] = [.instant, .text, .integer, .boolean]

    static let listAfter = Statement(
        "users.list_after",
        .reads,
        listTypes,
        """
        SELECT \(User.columns) FROM users
        WHERE (created_at, id) < ($1, $2) AND \(state)
        ORDER BY created_at DESC, id DESC LIMIT $3
        """
    )

    static let listBefore = Statement(
        "users.list_before",
        .reads,
        listTypes,
        """
        SELECT \(User.columns) FROM users
        WHERE (created_at, id) > ($1, $2) AND \(state)
        ORDER BY created_at, id LIMIT $3
        """
    )

    /// As `listAfter`, of the role `$5`.
    static let listOfRoleAfter = Statement(
        "users.list_of_role_after",
        .reads,
        listTypes + [.text],
        """
        SELECT \(User.columns) FROM users
        WHERE role = $5 AND (created_at, id) < ($1, $2) AND \(state)
        ORDER BY created_at DESC, id DESC LIMIT $3
        """
    )

    static let listOfRoleBefore = Statement(
        "users.list_of_role_before",
        .reads,
        listTypes + [.text],
        """
        SELECT \(User.columns) FROM users
        WHERE role = $5 AND (created_at, id) > ($1, $2) AND \(state)
        ORDER BY created_at, id LIMIT $3
        """
    )

    /// The users with an email or a name from `first` up to `end`, each once: what a search reads and sorts is what it
    /// finds.
    private static func found(from first: String, to end: String) -> String {
        """
        (
            SELECT \(User.columns) FROM users WHERE email_key >= \(first) AND email_key < \(end)
            UNION ALL
            SELECT \(User.columns) FROM users WHERE name_key >= \(first) AND name_key < \(end)
                AND (email_key IS NULL OR email_key < \(first) OR email_key >= \(end))
        ) AS found
        """
    }

    /// As `listAfter`, of the role `$5` or of any, with an email or name from `$6` up to `$7`.
    static let searchAfter = Statement(
        "users.search_after",
        .reads,
        listTypes + [.text, .text, .text],
        """
        SELECT \(User.columns) FROM \(found(from: "$6", to: "$7"))
        WHERE (created_at, id) < ($1, $2) AND \(state) AND ($5 IS NULL OR role = $5)
        ORDER BY created_at DESC, id DESC LIMIT $3
        """
    )

    static let searchBefore = Statement(
        "users.search_before",
        .reads,
        listTypes + [.text, .text, .text],
        """
        SELECT \(User.columns) FROM \(found(from: "$6", to: "$7"))
        WHERE (created_at, id) > ($1, $2) AND \(state) AND ($5 IS NULL OR role = $5)
        ORDER BY created_at, id LIMIT $3
        """
    )

    /// Reads every user: only for who asks for a count.
    static let count = Statement(
        "users.count",
        .reads,
        [.boolean, .text],
        """
        SELECT COUNT(*) AS total FROM users
        WHERE ($1 IS NULL OR is_active = $1) AND ($2 IS NULL OR role = $2)
        """
    )

    static let searchCount = Statement(
        "users.search_count",
        .reads,
        [.boolean, .text, .text, .text],
        """
        SELECT COUNT(*) AS total FROM \(found(from: "$3", to: "$4"))
        WHERE ($1 IS NULL OR is_active = $1) AND ($2 IS NULL OR role = $2)
        """
    )

    static let all = [
        insert, lock, lockBySession, touchLogin, byID, byEmailKey, updateProfile, setRole, deactivate, reactivate,
        bumpVersionIfPassword, bumpVersion, delete, deletedTokensEvent, deletedEvent, listAfter, listBefore,
        listOfRoleAfter,
        listOfRoleBefore,
        searchAfter, searchBefore, count, searchCount,
    ]
}
