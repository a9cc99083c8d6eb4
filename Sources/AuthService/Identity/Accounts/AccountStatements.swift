// SQL of `accounts`. A password is an account with provider 'password'.
import Storage

enum AccountStatements {
    private static let insertPassword = Statement(
        "accounts.insert_password",
        .writes,
        ["id": .text, "user": .text, "hash": .text, "now": .instant],
        """
        INSERT INTO accounts (id, user_id, provider_id, account_id, password_hash, created_at, updated_at)
        SELECT :id, id, 'password', id, :hash, :now, :now FROM users WHERE id = :user
        """
    )

    /// For a user that this transaction has just made.
    static func insertPassword(id: String, user: String, hash: String, at now: Instant) -> BoundStatement {
        insertPassword.bind(["id": id, "user": user, "hash": hash, "now": now])
    }

    private static let credentialsByEmail = Statement(
        "accounts.credentials_by_email",
        .reads,
        ["key": .text],
        "\(credentials) WHERE u.email_key = :key"
    )

    private static let credentialsByEmails = Statement(
        "accounts.credentials_by_emails",
        .reads,
        ["first": .text, "second": .text, "third": .text],
        "\(credentials) WHERE \(UserStatements.isOneOf(column: "u.email_key"))"
    )

    private static let credentials = """
        SELECT u.id AS user_id, u.is_active AS is_active, a.password_hash AS password_hash
        FROM users u JOIN accounts a ON a.user_id = u.id AND a.provider_id = 'password'
        """

    static func credentials(email: Email) -> BoundStatement {
        email.lookupKeys.count == 1
            ? credentialsByEmail.bind(["key": email.key])
            : credentialsByEmails.bind(UserStatements.keys(of: email))
    }

    private static let credentialsByUser = Statement(
        "accounts.credentials_by_user",
        .reads,
        ["user": .text],
        """
        SELECT u.id AS user_id, u.is_active AS is_active, a.password_hash AS password_hash
        FROM users u JOIN accounts a ON a.user_id = u.id AND a.provider_id = 'password'
        WHERE u.id = :user
        """
    )

    static func credentials(user: String) -> BoundStatement { credentialsByUser.bind(["user": user]) }

    private static let replacePassword = Statement(
        "accounts.replace_password",
        .writes,
        ["user": .text, "verified": .text, "new": .text, "now": .instant],
        """
        UPDATE accounts SET password_hash = :new, updated_at = :now
        WHERE user_id = :user AND provider_id = 'password' AND password_hash = :verified
        """
    )

    /// Affects nothing if the verified hash has changed in between.
    static func replacePassword(
        of user: String,
        verified: String,
        with new: String,
        at now: Instant
    ) -> BoundStatement {
        replacePassword.bind(["user": user, "verified": verified, "new": new, "now": now])
    }

    static let all = [
        insertPassword, credentialsByEmail, credentialsByEmails, credentialsByUser, replacePassword,
    ]
}
