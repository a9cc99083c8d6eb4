// SQL of `accounts`: the ways in. A password is an account like the others, with provider 'password'.
import Storage

enum AccountStatements {
    /// The password account of a user that this unit has just made.
    static let insertPassword = Statement(
        "accounts.insert_password",
        .writes,
        [.text, .text, .text, .instant],
        """
        INSERT INTO accounts (id, user_id, provider_id, account_id, password_hash, created_at, updated_at)
        SELECT $1, id, 'password', id, $3, $4, $4 FROM users WHERE id = $2
        """
    )

    static let credentialsByEmail = Statement(
        "accounts.credentials_by_email",
        .reads,
        [.text],
        """
        SELECT u.id AS user_id, u.is_active AS is_active, a.password_hash AS password_hash
        FROM users u JOIN accounts a ON a.user_id = u.id AND a.provider_id = 'password'
        WHERE u.email_key = $1
        """
    )

    static let credentialsByUser = Statement(
        "accounts.credentials_by_user",
        .reads,
        [.text],
        """
        SELECT u.id AS user_id, u.is_active AS is_active, a.password_hash AS password_hash
        FROM users u JOIN accounts a ON a.user_id = u.id AND a.provider_id = 'password'
        WHERE u.id = $1
        """
    )

    /// `$2` the hash that was verified: a change that came in between wins, and this affects nothing.
    static let replacePassword = Statement(
        "accounts.replace_password",
        .writes,
        [.text, .text, .text, .instant],
        """
        UPDATE accounts SET password_hash = $3, updated_at = $4
        WHERE user_id = $1 AND provider_id = 'password' AND password_hash = $2
        """
    )

    static let all = [insertPassword, credentialsByEmail, credentialsByUser, replacePassword]
}
