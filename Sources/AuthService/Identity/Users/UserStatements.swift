// SQL of `users`: rows, the row as a lock, profiles and versions.
import ServiceKit
import Storage

enum UserStatements {
    private static let insert = Statement(
        "users.insert",
        .writes,
        [
            "id": .text, "email": .text, "email_key": .text, "former": .text, "first": .text, "second": .text,
            "third": .text, "name": .text, "name_key": .text, "role": .text, "now": .instant, "login": .instant,
        ],
        """
        INSERT INTO users (
            id, email, email_key, former_email_key, name, name_key, role, created_at, updated_at, last_login_at)
        SELECT :id, :email, :email_key, :former, :name, :name_key, :role, :now, :now, :login
        WHERE NOT EXISTS (SELECT 1 FROM users WHERE email_key IN (:first, :second, :third))
        ON CONFLICT (email_key) DO NOTHING
        RETURNING \(User.columns)
        """
    )

    /// Zero rows if the address is taken: the constraint decides, without a look beforehand.
    static func insert(
        id: String,
        email: Email,
        name: RequestText?,
        role: Role,
        loggedInAt login: Instant?,
        at now: Instant
    ) -> BoundStatement {
        let former = email.typedKey == email.key ? nil : email.typedKey
        return insert.bind(
            keys(of: email) + [
                "id": id, "email": email.address, "email_key": email.key, "former": former, "name": name,
                "name_key": name.map(LookupKey.of), "role": role.rawValue, "now": now, "login": login,
            ]
        )
    }

    private static let lock = Statement(
        "users.lock",
        .writes,
        ["id": .text],
        "UPDATE users SET token_version = token_version WHERE id = :id"
    )

    static func lock(id: String) -> BoundStatement { lock.bind(["id": id]) }

    private static let lockBySession = Statement(
        "users.lock_by_session",
        .writes,
        ["session": .text],
        "UPDATE users SET token_version = token_version WHERE id = (SELECT user_id FROM sessions WHERE id = :session)"
    )

    static func lock(ofSession session: String) -> BoundStatement { lockBySession.bind(["session": session]) }

    private static let touchLogin = Statement(
        "users.touch_login",
        .writes,
        ["id": .text, "now": .instant],
        "UPDATE users SET last_login_at = :now WHERE id = :id"
    )

    static func lock(id: String, forLoginAt now: Instant) -> BoundStatement { touchLogin.bind(["id": id, "now": now]) }

    private static let byID = Statement(
        "users.by_id",
        .reads,
        ["id": .text],
        "SELECT \(User.columns) FROM users WHERE id = :id"
    )

    static func find(id: String) -> BoundStatement { byID.bind(["id": id]) }

    private static let byEmailKey = Statement(
        "users.by_email_key",
        .reads,
        ["key": .text],
        "SELECT \(User.columns) FROM users WHERE email_key = :key"
    )

    private static let byEmailKeys = Statement(
        "users.by_email_keys",
        .reads,
        ["first": .text, "second": .text, "third": .text],
        "SELECT \(User.columns) FROM users WHERE \(isOneOf(column: "email_key"))"
    )

    static func find(email: Email) -> BoundStatement {
        email.lookupKeys.count == 1 ? byEmailKey.bind(["key": email.key]) : byEmailKeys.bind(keys(of: email))
    }

    /// Of the rows with a key of an address, the one that is meant. Two users who meet under one key keep theirs (see
    /// `EmailKeys`), so what was typed comes first.
    static func isOneOf(column: String) -> String {
        """
        \(column) = (
            SELECT k.email_key FROM users k WHERE k.email_key IN (:first, :second, :third)
            ORDER BY CASE k.email_key WHEN :first THEN 0 WHEN :second THEN 1 ELSE 2 END LIMIT 1
        )
        """
    }

    /// The parameters of `isOneOf`.
    static func keys(of email: Email) -> StatementValues {
        let keys = email.lookupKeys
        return ["first": keys.first, "second": keys.dropFirst().first, "third": keys.dropFirst(2).first]
    }

    private static let updateProfile = Statement(
        "users.update_profile",
        .writes,
        [
            "id": .text, "now": .instant, "sets_name": .boolean, "name": .text, "name_key": .text,
            "sets_first_name": .boolean, "first_name": .text, "sets_last_name": .boolean, "last_name": .text,
            "sets_avatar_url": .boolean, "avatar_url": .text, "sets_metadata": .boolean, "metadata": .text,
        ],
        """
        UPDATE users SET
            name = CASE WHEN :sets_name THEN :name ELSE name END,
            name_key = CASE WHEN :sets_name THEN :name_key ELSE name_key END,
            first_name = CASE WHEN :sets_first_name THEN :first_name ELSE first_name END,
            last_name = CASE WHEN :sets_last_name THEN :last_name ELSE last_name END,
            avatar_url = CASE WHEN :sets_avatar_url THEN :avatar_url ELSE avatar_url END,
            metadata = CASE WHEN :sets_metadata THEN :metadata ELSE metadata END,
            updated_at = :now
        WHERE id = :id
        RETURNING \(User.columns)
        """
    )

    /// Absent fields stay.
    static func update(id: String, to profile: UserProfile, at now: Instant) -> BoundStatement {
        updateProfile.bind([
            "id": id, "now": now,
            "sets_name": profile.name.isPresent, "name": profile.name.value,
            "name_key": profile.name.value.map(LookupKey.of),
            "sets_first_name": profile.firstName.isPresent, "first_name": profile.firstName.value,
            "sets_last_name": profile.lastName.isPresent, "last_name": profile.lastName.value,
            "sets_avatar_url": profile.avatarURL.isPresent, "avatar_url": profile.avatarURL.value,
            "sets_metadata": profile.metadata.isPresent, "metadata": profile.metadata.value,
        ])
    }

    private static let bumpVersionIfPassword = Statement(
        "users.bump_version_if_password",
        .writes,
        ["id": .text, "hash": .text, "now": .instant],
        """
        UPDATE users SET token_version = token_version + 1, updated_at = :now
        WHERE id = :id AND EXISTS (
            SELECT 1 FROM accounts
            WHERE \(AccountStatements.isPassword(table: "accounts", of: ":id")) AND accounts.password_hash = :hash)
        """
    )

    /// Makes the user's older tokens stale, if the password is the one just set.
    static func bumpVersion(id: String, ifPasswordIs hash: String, at now: Instant) -> BoundStatement {
        bumpVersionIfPassword.bind(["id": id, "hash": hash, "now": now])
    }

    private static let bumpVersion = Statement(
        "users.bump_version",
        .writes,
        ["id": .text, "now": .instant],
        "UPDATE users SET token_version = token_version + 1, updated_at = :now WHERE id = :id"
    )

    static func bumpVersion(id: String, at now: Instant) -> BoundStatement { bumpVersion.bind(["id": id, "now": now]) }

    static let all = [
        insert, lock, lockBySession, touchLogin, byID, byEmailKey, byEmailKeys, updateProfile, bumpVersionIfPassword,
        bumpVersion,
    ]
}
