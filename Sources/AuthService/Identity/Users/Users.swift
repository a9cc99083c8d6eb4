// Users: who exists, and what they say of themselves.
//
// The user's row is the lock: every transaction that makes, revives or ends sessions of a user begins by updating that
// row, and tests its conditions in later statements, which see what was committed before the lock was granted.
package import OpenSSLCrypto
package import ServiceKit
package import Storage

/// The users of this deployment.
package struct Users: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let events: Events
    let audit: Audit

    package func find(id: String) async throws(StorageError) -> User? {
        try await database.run(UserStatements.find(id: id)).first.map { row throws(StorageError) in try User(row) }
    }

    package func find(email: Email) async throws(StorageError) -> User? {
        try await database.run(UserStatements.find(email: email)).first.map { row throws(StorageError) in
            try User(row)
        }
    }

    // MARK: Statements that other features put into their transactions

    /// Inserts a user and returns the row; no row when the address is taken. Everything after it in the transaction
    /// depends on its id.
    func insertion(id: String, email: Email, name: String?, role: Role, loggedInAt: Instant?, at now: Instant)
        -> BoundStatement
    {
        UserStatements.insert(id: id, email: email, name: name, role: role, loggedInAt: loggedInAt, at: now)
    }

    func lockForLogin(_ user: String, at now: Instant) -> BoundStatement {
        UserStatements.lock(id: user, forLoginAt: now)
    }

    func row(_ user: String) -> BoundStatement { UserStatements.find(id: user) }

    func bumpVersion(_ user: String, marker: Instant) -> BoundStatement {
        UserStatements.bumpVersion(id: user, at: marker)
    }

    func bumpVersion(_ user: String, ifPasswordIs hash: String, marker: Instant) -> BoundStatement {
        UserStatements.bumpVersion(id: user, ifPasswordIs: hash, at: marker)
    }

    // MARK: Profile

    /// Changes the fields that are present; with none of them, nothing is changed and no event is written.
    ///
    /// - Returns: the user after the change; `nil` when there is no such user.
    package func update(
        _ user: String,
        profile: UserProfile,
        actor: String,
        origin: Origin
    ) async throws(StorageError) -> User? {
        guard !profile.isEmpty else { return try await find(id: user) }
        let now = clock.now()
        var transaction = Transaction()
        let updated = transaction.add(UserStatements.update(id: user, to: profile, at: now))
        transaction.add(events.userUpdated(user, name: profile.name, avatarURL: profile.avatarURL, at: now))
        transaction.add(audit.entry("user.update", actor: actor, ifUserExists: user, origin: origin, at: now))
        return try await database.run(transaction)[updated].first.map { row throws(StorageError) in try User(row) }
    }
}
