// What an admin does to a user, and users to themselves: role, deactivation, deletion. Each of them ends sessions or makes
// their tokens stale, and so stands above them.
//
// States: active → deactivated → active, and gone. A deactivated user keeps rows but no session and gets no new one.
// The last active admin can be neither demoted, deactivated nor deleted. Such transactions append events, hence run one
// at a time, so two admins cannot remove each other at once.
package import ServiceKit
package import Storage

/// What happened to a change of a user by an admin.
package enum UserChange: Sendable {
    case changed(User)
    case unchanged(User)

    /// The user as they are now.
    package var user: User {
        switch self {
        case .changed(let user), .unchanged(let user): user
        }
    }
}

/// Why a user is not changed.
package enum UserStateError: Error, Sendable {
    case noSuchUser
    /// The user is the last active admin, and the change would leave none.
    case lastAdmin
    case fault(any Error)
}

package struct UserStates: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let users: Users
    let events: Events
    let audit: Audit

    /// Changes a role. Older access tokens become stale; sessions live, and the next refresh carries the new role.
    package func setRole(_ user: String, _ role: Role, actor: String?, origin: Origin) async throws(UserStateError)
        -> UserChange
    {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.setRole(of: user, to: role, at: now))
        transaction.add(Sessions.requireCurrentVersion(ofUser: user, marker: now))
        transaction.add(events.userRoleChanged(user, marker: now, at: now))
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now))
        transaction.add(
            audit.entry("user.set_role", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now)
        )
        return try await run(transaction, changing: user, by: changed) { $0.role != role }
    }

    /// Ends every session and refuses new ones.
    package func deactivate(_ user: String, actor: String?, origin: Origin) async throws(UserStateError)
        -> UserChange
    {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.deactivate(id: user, at: now))
        transaction.add(Sessions.revocation(ofInactiveUser: user, at: now))
        transaction.add(events.userDeactivated(user, marker: now, at: now))
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now))
        transaction.add(
            audit.entry("user.deactivate", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now)
        )
        return try await run(transaction, changing: user, by: changed) { $0.isActive }
    }

    package func reactivate(_ user: String, actor: String?, origin: Origin) async throws(UserStateError)
        -> UserChange
    {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.reactivate(id: user, at: now))
        transaction.add(events.userReactivated(user, marker: now, at: now))
        transaction.add(
            audit.entry("user.reactivate", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now)
        )
        return try await run(transaction, changing: user, by: changed) { !$0.isActive }
    }

    /// Removes the user and everything that cascades; the event and the audit row stay.
    package func delete(_ user: String, actor: String?, origin: Origin) async throws(UserStateError) {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        transaction.add(contentsOf: UserStateStatements.deletionEvents(of: user, at: now))
        transaction.add(audit.entry("user.delete", actor: actor, ifUserExists: user, origin: origin, at: now))
        let deleted = transaction.add(UserStateStatements.delete(id: user))
        let left = transaction.add(users.row(user))
        let results = try await run(transaction)
        if results[deleted].isEmpty {
            throw results[left].isEmpty ? UserStateError.noSuchUser : UserStateError.lastAdmin
        }
    }

    /// Runs a conditional change. The row that the transaction left behind distinguishes "no such user", "nothing to do"
    /// and "the last admin". `refused`: whether the row is one that the change would have changed.
    private func run(
        _ transaction: consuming Transaction,
        changing user: String,
        by changed: Transaction.Handle,
        refused: (User) -> Bool
    ) async throws(UserStateError) -> UserChange {
        let found = transaction.add(users.row(user))
        let results = try await run(transaction)
        guard let row = results[found].first else { throw .noSuchUser }
        let after: User
        do { after = try User(row) } catch { throw .fault(error) }
        if results[changed].affected > 0 { return .changed(after) }
        if refused(after) { throw .lastAdmin }
        return .unchanged(after)
    }

    private func run(_ transaction: Transaction) async throws(UserStateError) -> TransactionResults {
        do { return try await database.run(transaction) } catch { throw .fault(error) }
    }
}
