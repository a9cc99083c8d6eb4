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
        try await database.run(UserStatements.byID(id)).first.map { row throws(StorageError) in try User(row) }
    }

    package func find(email: Email) async throws(StorageError) -> User? {
        try await database.run(UserStatements.byEmailKey(email.key)).first.map { row throws(StorageError) in
            try User(row)
        }
    }

    // MARK: Statements that other features put into their units

    /// Inserts a user; zero rows when the address is taken. Everything after it in the unit depends on its id.
    func insertion(id: String, email: Email, name: String?, role: Role, loggedInAt: Instant?, at now: Instant)
        -> BoundStatement
    {
        UserStatements.insert(
            id,
            email.address,
            email.key,
            name,
            name.map(Email.key(of:)),
            role.rawValue,
            now,
            loggedInAt
        )
    }

    func lock(_ user: String) -> BoundStatement { UserStatements.lock(user) }
    func lock(ofSession session: String) -> BoundStatement { UserStatements.lockBySession(session) }
    func lockForLogin(_ user: String, at now: Instant) -> BoundStatement { UserStatements.touchLogin(user, now) }

    func bumpVersion(_ user: String, marker: Instant) -> BoundStatement { UserStatements.bumpVersion(user, marker) }

    func bumpVersion(_ user: String, ifPasswordIs hash: String, marker: Instant) -> BoundStatement {
        UserStatements.bumpVersionIfPassword(user, hash, marker)
    }

    // MARK: Profile

    /// Changes the fields that are present; with none of them, nothing is changed and nothing told.
    package func update(_ user: String, profile: UserProfile, actor: String, origin: Origin) async throws -> User {
        guard !profile.isEmpty else {
            guard let unchanged = try await find(id: user) else { throw APIError(.notFound) }
            return unchanged
        }
        let now = clock.now()
        let results = try await database.run([
            UserStatements.updateProfile(
                user,
                now,
                profile.name.isPresent,
                profile.name.value,
                profile.name.value.map(Email.key(of:)),
                profile.firstName.isPresent,
                profile.firstName.value,
                profile.lastName.isPresent,
                profile.lastName.value,
                profile.avatarURL.isPresent,
                profile.avatarURL.value,
                profile.metadata.isPresent,
                profile.metadata.value
            ),
            events.about(user: user, .userUpdated, name: profile.name, avatarURL: profile.avatarURL, at: now),
            audit.entry("user.update", actor: actor, ifUserExists: user, origin: origin, at: now),
        ])
        guard let row = results[0].first else { throw APIError(.notFound) }
        return try User(row)
    }

    // MARK: Roles and states

    /// Changes a role. Older access tokens become stale; sessions live, and the next refresh carries the new role.
    package func setRole(_ user: String, _ role: Role, actor: String?, origin: Origin) async throws -> UserChange {
        let now = clock.now()
        return try await change(
            user,
            refused: { $0.role != role },
            [
                UserStatements.setRole(user, role.rawValue, now),
                sessions.requireCurrentVersion(ofUser: user, marker: now),
                events.changed(user, .userUpdated, marker: now, at: now),
                events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now),
                audit.entry("user.set_role", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now),
            ]
        )
    }

    /// Ends every session and refuses new ones.
    package func deactivate(_ user: String, actor: String?, origin: Origin) async throws -> UserChange {
        let now = clock.now()
        return try await change(
            user,
            refused: { $0.isActive },
            [
                UserStatements.deactivate(user, now),
                sessions.revokeAllOfInactive(user, at: now),
                events.changed(user, .userDeactivated, marker: now, at: now),
                events.userTokensRevoked(user: user, marker: now, exceptSession: nil, at: now),
                audit.entry("user.deactivate", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now),
            ]
        )
    }

    package func reactivate(_ user: String, actor: String?, origin: Origin) async throws -> UserChange {
        let now = clock.now()
        return try await change(
            user,
            refused: { !$0.isActive },
            [
                UserStatements.reactivate(user, now),
                events.changed(user, .userReactivated, marker: now, at: now),
                audit.entry("user.reactivate", actor: actor, ifUserChanged: user, marker: now, origin: origin, at: now),
            ]
        )
    }

    /// Removes the user and everything that cascades; the event and the audit row stay.
    package func delete(_ user: String, actor: String?, origin: Origin) async throws {
        let now = clock.now()
        let results = try await database.run([
            UserStatements.lock(user),
            UserStatements.deletedTokensEvent(user, now),
            UserStatements.deletedEvent(user, now),
            audit.entry("user.delete", actor: actor, ifUserExists: user, origin: origin, at: now),
            UserStatements.delete(user),
            UserStatements.byID(user),
        ])
        if results[4].isEmpty {
            throw APIError(results[5].isEmpty ? .notFound : .lastAdmin)
        }
    }

    /// Runs a conditional change, the unit's first statement, and tells "no such user", "nothing to do" and "the last admin" apart by the row
    /// that the unit left behind.
    private func change(
        _ user: String,
        refused: (User) -> Bool,
        _ unit: [BoundStatement]
    ) async throws -> UserChange {
        let results = try await database.run([UserStatements.lock(user)] + unit + [UserStatements.byID(user)])
        guard let row = results.last?.first else { throw APIError(.notFound) }
        let after = try User(row)
        if results[1].affected > 0 { return .changed(after) }
        if refused(after) { throw APIError(.lastAdmin) }
        return .unchanged(after)
    }
}
