// Sessions: one row per login.
//
// A session is living until the first of: revoked, the user deactivated, everything revoked (its global version is
// behind), idle too long, absolute end. It never comes back. Its user lists it and ends it; an admin ends any.
// Ending one begins with the user's row (see Users), then the event, then the row: of 64 that race, the first finds
// it living and writes the one event, the others find nothing to do.
package import OpenSSLCrypto
package import ServiceKit
package import Storage

/// What a login hands over to become a session.
package struct SessionOpening: Sendable {
    let user: String
    /// The hash that was verified; the session opens only if it still is the user's.
    let passwordHash: String
    let origin: Origin
    let amr: String
    /// Present when the session is to be carried by a cookie.
    let cookie: SessionCookie?
}

package struct Sessions: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let lifetime: SessionLifetime
    let users: Users
    let events: Events
    let audit: Audit
    let ends: SessionEnds

    package static let listName = "sessions"

    func newID(at now: Instant) -> String {
        UUIDv7.make(milliseconds: now.microseconds / 1000, random: random)
    }

    /// The insert of a new session, for a transaction that has taken the user's row before.
    func opening(_ opening: SessionOpening, id: String, at now: Instant) -> BoundStatement {
        SessionStatements.insert(opening, id: id, lifetime: lifetime, at: now)
    }

    func stateWithUser(_ session: String) -> BoundStatement { SessionStatements.stateWithUser(id: session) }

    /// Whether enough of the idle period is used up to move its end.
    func isSlideDue(_ session: Session, at now: Instant) -> Bool {
        session.expiresAt < min(now + lifetime.idle - lifetime.slideAfter, session.absoluteExpiresAt)
    }

    /// Slides the idle end if that is still due, and reads what there is then.
    func slid(_ state: SessionState, at now: Instant) async throws -> SessionState {
        let id = state.session.id
        var transaction = Transaction()
        transaction.add(SessionStatements.slide(id: id, lifetime: lifetime, at: now))
        let after = transaction.add(SessionStatements.state(id: id))
        guard let row = try await database.run(transaction)[after].first else { throw APIError(.sessionRevoked) }
        return try SessionState(row)
    }

    /// The state of a session, or `nil` when there is none.
    package func current(_ session: String) async throws(StorageError) -> SessionState? {
        try await database.run(SessionStatements.state(id: session)).first.map { row throws(StorageError) in
            try SessionState(row)
        }
    }

    /// The session that a cookie carries, its idle end slid when due.
    package func current(cookie: SessionCookie) async throws -> (state: SessionState, user: User) {
        let now = clock.now()
        guard let row = try await database.run(SessionStatements.stateWithUser(cookie: cookie)).first else {
            throw APIError(.tokenInvalid)
        }
        let state = try SessionState(row)
        if let refusal = state.refusal(at: now, idleEnd: state.session.expiresAt) { throw APIError(refusal) }
        // Most requests write nothing; the slide tests its own condition again.
        if isSlideDue(state.session, at: now) {
            _ = try await database.run(SessionStatements.slide(id: state.session.id, lifetime: lifetime, at: now))
        }
        return (state, try User(row))
    }

    // MARK: Ends

    /// Ends one session, of one user unless `owner` is nil. Ending an ended one is no error.
    package func revoke(
        _ session: String,
        owner: String?,
        reason: RevokeReason,
        actor: String?,
        origin: Origin
    ) async throws {
        guard try await !database.run(SessionStatements.exists(id: session, owner: owner)).isEmpty else {
            throw APIError(.notFound)
        }
        try await end(session, reason: reason, actor: actor, origin: origin)
    }

    /// Ends a session of which the caller knows that it may be ended.
    func end(_ session: String, reason: RevokeReason, actor: String?, origin: Origin) async throws {
        var transaction = Transaction()
        addRevocation(of: session, reason: reason, actor: actor, origin: origin, at: clock.now(), to: &transaction)
        _ = try await database.run(transaction)
    }

    /// Ends many; unknown ids are passed over. Returns how many were living.
    package func revoke(_ sessions: [String], actor: String?, origin: Origin) async throws -> Int {
        let now = clock.now()
        var transaction = Transaction()
        let revoked = Set(sessions).sorted().map {
            addRevocation(of: $0, reason: .revokedByAdmin, actor: actor, origin: origin, at: now, to: &transaction)
        }
        let results = try await database.run(transaction, priority: .long)
        return revoked.reduce(0) { $0 + results[$1].affected }
    }

    /// Adds the four statements that end a session: the lock, the event, the audit row, the row itself, whose handle it
    /// returns.
    @discardableResult
    private func addRevocation(
        of session: String,
        reason: RevokeReason,
        actor: String?,
        origin: Origin,
        at now: Instant,
        to transaction: inout Transaction
    ) -> Transaction.Handle {
        transaction.lockUser(ofSession: session)
        transaction.add(events.sessionWillBeRevoked(session, at: now))
        transaction.add(audit.entry("session.revoke", actor: actor, ifSessionLives: session, origin: origin, at: now))
        return transaction.add(SessionStatements.revoke(id: session, reason: reason, at: now))
    }

    /// Ends all sessions of a user, or all but one, and makes their access tokens stale everywhere. Returns how many.
    package func revokeAll(
        ofUser user: String,
        except session: String? = nil,
        reason: RevokeReason,
        actor: String?,
        origin: Origin
    ) async throws -> Int {
        let now = clock.now()
        var transaction = Transaction()
        let (locked, revoked) = addRevocation(
            ofAllOf: user,
            except: session,
            reason: reason,
            actor: actor,
            origin: origin,
            at: now,
            to: &transaction
        )
        let results = try await database.run(transaction)
        guard results[locked].affected > 0 else { throw APIError(.notFound) }
        return results[revoked].affected
    }

    /// The same for many users in one transaction; unknown ids are passed over.
    package func revokeAll(ofUsers ids: [String], actor: String?, origin: Origin) async throws -> Int {
        let now = clock.now()
        var transaction = Transaction()
        let revoked = Set(ids).sorted().map { user in
            addRevocation(
                ofAllOf: user,
                except: nil,
                reason: .revokedByAdmin,
                actor: actor,
                origin: origin,
                at: now,
                to: &transaction
            )
            .revoked
        }
        let results = try await database.run(transaction, priority: .long)
        return revoked.reduce(0) { $0 + results[$1].affected }
    }

    /// Adds the end of a user's sessions. `locked`: the change of the user's row, which affects none when there is no
    /// such user.
    private func addRevocation(
        ofAllOf user: String,
        except session: String?,
        reason: RevokeReason,
        actor: String?,
        origin: Origin,
        at now: Instant,
        to transaction: inout Transaction
    ) -> (locked: Transaction.Handle, revoked: Transaction.Handle) {
        let locked = transaction.add(users.bumpVersion(user, marker: now))
        let revoked = transaction.add(ends.revokeAll(ofUser: user, except: session, reason: reason, at: now))
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: session, at: now))
        transaction.add(audit.entry("sessions.revoke_all", actor: actor, ifUserExists: user, origin: origin, at: now))
        return (locked, revoked)
    }

    /// Ends every session of everybody: one version and one event. Rows are marked afterwards, in batches.
    package func revokeEverything(actor: String?, origin: Origin) async throws {
        let now = clock.now()
        var transaction = Transaction()
        transaction.add(GlobalVersionStatements.bump(at: now))
        transaction.add(events.allTokensRevoked(at: now))
        transaction.add(audit.entry("sessions.revoke_everything", actor: actor, target: nil, origin: origin, at: now))
        _ = try await database.run(transaction)
    }

    // MARK: Lists

    /// Sessions, newest first, of one user or of all.
    package func list(ofUser user: String?, includeEnded: Bool, _ request: PageRequest) async throws -> Page<Session> {
        let now = clock.now()
        let result = try await database.run(
            SessionListStatements.page(
                ofUser: user,
                direction: request.direction,
                from: request.cursor ?? .beyondNewest,
                limit: request.fetchCount,
                idleEnd: now - lifetime.slideAfter,
                ended: includeEnded,
                at: now
            )
        )
        return Page(fetched: try result.rows.map { try Session($0) }, request: request) { Cursor($0.createdAt, $0.id) }
    }
}
