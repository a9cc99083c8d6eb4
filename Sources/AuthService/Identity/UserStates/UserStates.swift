// Role, deactivation and deletion, by admins and by users themselves. Each ends sessions or makes tokens stale, and so
// is above them.
//
// States: active → deactivated → active, and gone. A deactivated user keeps rows but has no session. The last active
// admin cannot be demoted, deactivated or deleted. These transactions append events and so run one at a time: two
// admins cannot remove each other at once.
import ServiceKit
import Storage

package enum UserChange: Sendable {
    case changed(User)
    case unchanged(User)

    package var user: User {
        switch self {
        case .changed(let user), .unchanged(let user): user
        }
    }
}

package enum UserStateError: Error, Sendable {
    case noSuchUser
    /// The change would leave no active admin.
    case lastAdmin
    case fault(any Error)
}

package struct UserStates: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let users: Users
    let events: Events
    let audit: Audit
    /// How long a token of a deleted user could have been used.
    let sessionIdle: Duration

    /// Access tokens become stale; sessions continue, and the next refresh has the new role.
    package func setRole(_ user: String, _ role: Role, actor: String?, from clientInfo: ClientInfo)
        async throws(UserStateError)
        -> UserChange
    {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.setRole(of: user, to: role, at: now))
        transaction.add(Sessions.requireCurrentVersion(ofUser: user, marker: now))
        transaction.add(events.userRoleChanged(user: user, marker: now, at: now))
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now))
        transaction.add(
            audit.entry(
                action: "user.set_role",
                actor: actor,
                ifUserChanged: user,
                marker: now,
                from: clientInfo,
                at: now
            )
        )
        return try await run(transaction, changing: user, by: changed) { $0.role != role }
    }

    /// Ends every session and refuses new ones.
    package func deactivate(_ user: String, actor: String?, from clientInfo: ClientInfo) async throws(UserStateError)
        -> UserChange
    {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.deactivate(id: user, at: now))
        transaction.add(Sessions.revocation(ofInactiveUser: user, at: now))
        transaction.add(Devices.ending(ofInactiveUser: user))
        transaction.add(events.userDeactivated(user: user, marker: now, at: now))
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now))
        transaction.add(
            audit.entry(
                action: "user.deactivate",
                actor: actor,
                ifUserChanged: user,
                marker: now,
                from: clientInfo,
                at: now
            )
        )
        return try await run(transaction, changing: user, by: changed) { $0.isActive }
    }

    package func reactivate(_ user: String, actor: String?, from clientInfo: ClientInfo) async throws(UserStateError)
        -> UserChange
    {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.reactivate(id: user, at: now))
        transaction.add(events.userReactivated(user: user, marker: now, at: now))
        transaction.add(
            audit.entry(
                action: "user.reactivate",
                actor: actor,
                ifUserChanged: user,
                marker: now,
                from: clientInfo,
                at: now
            )
        )
        return try await run(transaction, changing: user, by: changed) { !$0.isActive }
    }

    /// Cascades; the event and the audit row stay.
    package func delete(_ user: String, actor: String?, from clientInfo: ClientInfo) async throws(UserStateError) {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        transaction.add(contentsOf: UserStateStatements.deletionEvents(of: user, at: now))
        transaction.add(contentsOf: UserStateStatements.keepTokens(of: user, until: now + sessionIdle))
        transaction.add(audit.entry(action: "user.delete", actor: actor, ifUserExists: user, from: clientInfo, at: now))
        let deleted = transaction.add(UserStateStatements.delete(id: user))
        let left = transaction.add(users.row(of: user))
        let results = try await run(transaction)
        if results[deleted].isEmpty {
            throw results[left].isEmpty ? UserStateError.noSuchUser : UserStateError.lastAdmin
        }
    }

    /// Runs a conditional change. The remaining row distinguishes "no such user", "nothing to do" and "the last admin".
    /// `refused`: whether the change should have changed that row.
    private func run(
        _ transaction: consuming Transaction,
        changing user: String,
        by changed: Transaction.Handle,
        refused: (User) -> Bool
    ) async throws(UserStateError) -> UserChange {
        let found = transaction.add(users.row(of: user))
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
