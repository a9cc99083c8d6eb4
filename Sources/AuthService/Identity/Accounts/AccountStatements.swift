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
        ["key": .text]
    ) { engine in
        credentials(of: "u.email_key = :key", engine)
    }

    private static let credentialsByEmails = Statement(
        "accounts.credentials_by_emails",
        .reads,
        ["first": .text, "second": .text, "third": .text]
    ) { engine in
        credentials(of: UserStatements.isOneOf(column: "u.email_key"), engine)
    }

    /// The user comes first. With statistics of a few users, PostgreSQL would walk every password instead.
    private static func credentials(of condition: String, _ engine: SQLEngine) -> String {
        """
        SELECT u.id AS user_id, u.is_active AS is_active, a.password_hash AS password_hash
        FROM users u \(OnePlan.each("accounts", as: "a", where: isPassword(table: "a", of: "u.id"), engine))
        WHERE \(condition)
        """
    }

    /// Whether a row is the password of a user, whose accounts are few.
    static func isPassword(table: String, of user: String) -> String {
        "\(table).user_id = \(user) AND \(OnePlan.check("\(table).provider_id = 'password'"))"
    }

    static func credentials(email: Email) -> BoundStatement {
        email.lookupKeys.count == 1
            ? credentialsByEmail.bind(["key": email.key])
            : credentialsByEmails.bind(UserStatements.keys(of: email))
    }

    private static let credentialsByUser = Statement(
        "accounts.credentials_by_user",
        .reads,
        ["user": .text]
    ) { engine in
        credentials(of: "u.id = :user", engine)
    }

    static func credentials(user: String) -> BoundStatement { credentialsByUser.bind(["user": user]) }

    private static let replacePassword = Statement(
        "accounts.replace_password",
        .writes,
        ["user": .text, "verified": .text, "new": .text, "now": .instant],
        """
        UPDATE accounts SET password_hash = :new, updated_at = :now
        WHERE \(isPassword(table: "accounts", of: ":user")) AND \(OnePlan.check("password_hash = :verified"))
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
