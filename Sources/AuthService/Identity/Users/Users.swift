// Users: who exists, who may do what, and who no longer may.
//
// States: active → deactivated → active, and gone. A deactivated user keeps rows but no session and gets no new one.
// The user's row is the lock: every unit that makes, revives or ends sessions of a user begins by updating that row,
// and tests its conditions in later statements, which see what was committed before the lock was granted.
// The last active admin can be neither demoted, deactivated nor deleted; such units append events, hence run one at
// a time, so two admins cannot remove each other at once.
package import OpenSSLCrypto
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

/// The users of this deployment.
package struct Users: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let events: Events
    let audit: Audit
    let sessions: SessionEnds

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

    func bumpVersion(_ user: String, marker: Instant) -> BoundStatement {
        UserStatements.bumpVersion(id: user, at: marker)
    }

    func bumpVersion(_ user: String, ifPasswordIs hash: String, marker: Instant) -> BoundStatement {
        UserStatements.bumpVersion(id: user, ifPasswordIs: hash, at: marker)
    }

    // MARK: Profile

    /// Changes the fields that are present; with none of them, nothing is changed and no event is written.
    package func update(_ user: String, profile: UserProfile, actor: String, origin: Origin) async throws -> User {
        guard !profile.isEmpty else {
            guard let unchanged = try await find(id: user) else { throw APIError(.notFound) }
            return unchanged
        }
        let now = clock.now()
        var transaction = Transaction()
        let updated = transaction.add(UserStatements.update(id: user, to: profile, at: now))
        transaction.add(
            events.about(user: user, .userUpdated, name: profile.name, avatarURL: profile.avatarURL, at: now)
        )
        transaction.add(audit.entry("user.update", actor: actor, ifUserExists: user, origin: origin, at: now))
        guard let row = try await database.run(transaction)[updated].first else { throw APIError(.notFound) }
        return try User(row)
    }

    // MARK: Roles and states

    /// Changes a role. Older access tokens become stale; sessions live, and the next refresh carries the new role.
    package func setRole(_ user: String, _ role: Role, actor: String?, origin: Origin) async throws -> UserChange {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.setRole(of: user, to: role, at: now))
        transaction.add(sessions.requireCurrentVersion(ofUser: user, marker: now))
        transaction.add(events.changed(user, .userUpdated, marker: now, at: now))
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now))
        transaction.add(
            audit.entry("user.set_role", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now)
        )
        return try await run(transaction, changing: user, by: changed) { $0.role != role }
    }

    /// Ends every session and refuses new ones.
    package func deactivate(_ user: String, actor: String?, origin: Origin) async throws -> UserChange {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.deactivate(id: user, at: now))
        transaction.add(sessions.revokeAllOfInactive(user, at: now))
        transaction.add(events.changed(user, .userDeactivated, marker: now, at: now))
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now))
        transaction.add(
            audit.entry("user.deactivate", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now)
        )
        return try await run(transaction, changing: user, by: changed) { $0.isActive }
    }

    package func reactivate(_ user: String, actor: String?, origin: Origin) async throws -> UserChange {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        let changed = transaction.add(UserStateStatements.reactivate(id: user, at: now))
        transaction.add(events.changed(user, .userReactivated, marker: now, at: now))
        transaction.add(
            audit.entry("user.reactivate", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now)
        )
        return try await run(transaction, changing: user, by: changed) { !$0.isActive }
    }

    /// Removes the user and everything that cascades; the event and the audit row stay.
    package func delete(_ user: String, actor: String?, origin: Origin) async throws {
        let now = clock.now()
        var transaction = Transaction(locking: user)
        transaction.add(UserStateStatements.deletedTokensEvent(of: user, at: now))
        transaction.add(UserStateStatements.deletedEvent(of: user, at: now))
        transaction.add(audit.entry("user.delete", actor: actor, ifUserExists: user, origin: origin, at: now))
        let deleted = transaction.add(UserStateStatements.delete(id: user))
        let left = transaction.add(UserStatements.find(id: user))
        let results = try await database.run(transaction)
        if results[deleted].isEmpty { throw APIError(results[left].isEmpty ? .notFound : .lastAdmin) }
    }

    /// Runs a conditional change. Distinguishes "no such user", "nothing to do" and "the last admin" by the row that the
    /// transaction left behind.
    /// `refused`: whether the row is one that the change would have changed.
    private func run(
        _ transaction: consuming Transaction,
        changing user: String,
        by changed: Transaction.Handle,
        refused: (User) -> Bool
    ) async throws -> UserChange {
        let found = transaction.add(UserStatements.find(id: user))
        let results = try await database.run(transaction)
        guard let row = results[found].first else { throw APIError(.notFound) }
        let after = try User(row)
        if results[changed].affected > 0 { return .changed(after) }
        if refused(after) { throw APIError(.lastAdmin) }
        return .unchanged(after)
    }
}
