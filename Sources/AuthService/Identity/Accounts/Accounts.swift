import ServiceKit
import Storage

struct PasswordCredentials: Sendable {
    let userID: String
    let isActive: Bool
    let hash: String

    /// `nil` without a password.
    init?(_ row: Row) throws(StorageError) {
        guard let hash = try row.optionalText("password_hash") else { return nil }
        self.userID = try row.text("user_id")
        self.isActive = try row.boolean("is_active")
        self.hash = hash
    }
}

package struct Accounts: Sendable {
    let database: any SQLDatabase
    let ids: IDGenerator

    /// The condition that a row of `accounts` is the password of a user.
    static func isPassword(table: String, of user: String) -> String {
        AccountStatements.isPassword(table: table, of: user)
    }

    func credentials(email: Email) async throws -> PasswordCredentials? {
        try await database.run(AccountStatements.credentials(email: email)).first.flatMap {
            try PasswordCredentials($0)
        }
    }

    func credentials(user: String) async throws -> PasswordCredentials? {
        try await database.run(AccountStatements.credentials(user: user)).first.flatMap { try PasswordCredentials($0) }
    }

    /// For the transaction that makes the user.
    func passwordInsertion(user: String, hash: String, at now: Instant) -> BoundStatement {
        let id = ids.make(at: now)
        return AccountStatements.insertPassword(id: id, user: user, hash: hash, at: now)
    }

    func passwordReplacement(user: String, verified: String, new: String, at now: Instant) -> BoundStatement {
        AccountStatements.replacePassword(of: user, verified: verified, with: new, at: now)
    }
}
