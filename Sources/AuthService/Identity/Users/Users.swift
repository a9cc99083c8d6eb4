// Users and their profiles.
//
// The user's row is the lock. Every transaction that creates, revives or ends sessions begins by updating it.
// Conditions are in later statements, which see everything committed before the lock was granted.
import ServiceKit
package import Storage

package struct Users: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let events: Events
    let audit: Audit
    /// Of the URLs in profiles.
    let urlSchemes: Set<WebURL.Scheme>

    package func find(id: String) async throws(StorageError) -> User? {
        try await database.run(UserStatements.find(id: id)).first.map { row throws(StorageError) in try User(row) }
    }

    package func find(email: Email) async throws(StorageError) -> User? {
        try await database.run(UserStatements.find(email: email)).first.map { row throws(StorageError) in
            try User(row)
        }
    }

    /// Returns the row; no row if the address is taken. The rest of the transaction depends on its id.
    func insertion(id: String, email: Email, name: RequestText?, role: Role, loggedInAt: Instant?, at now: Instant)
        -> BoundStatement
    {
        UserStatements.insert(id: id, email: email, name: name, role: role, loggedInAt: loggedInAt, at: now)
    }

    func lockForLogin(of user: String, at now: Instant) -> BoundStatement {
        UserStatements.lock(id: user, forLoginAt: now)
    }

    func row(of user: String) -> BoundStatement { UserStatements.find(id: user) }

    func bumpVersion(of user: String, marker: Instant) -> BoundStatement {
        UserStatements.bumpVersion(id: user, at: marker)
    }

    func bumpVersion(of user: String, ifPasswordIs hash: String, marker: Instant) -> BoundStatement {
        UserStatements.bumpVersion(id: user, ifPasswordIs: hash, at: marker)
    }

    /// Without any field, nothing is changed and no event is written.
    ///
    /// - Returns: the changed user; `nil` if there is no such user.
    package func update(
        _ user: String,
        profile: UserProfile,
        actor: String,
        from clientInfo: ClientInfo
    ) async throws(StorageError) -> User? {
        guard !profile.isEmpty else { return try await find(id: user) }
        let now = clock.now()
        var transaction = Transaction()
        let updated = transaction.add(UserStatements.update(id: user, to: profile, at: now))
        transaction.add(events.userUpdated(user: user, name: profile.name, avatarURL: profile.avatarURL, at: now))
        transaction.add(audit.entry(action: "user.update", actor: actor, ifUserExists: user, from: clientInfo, at: now))
        return try await database.run(transaction)[updated].first.map { row throws(StorageError) in try User(row) }
    }
}
