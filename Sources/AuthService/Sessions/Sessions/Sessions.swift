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

    /// The insert of a new session, for a unit that has taken the user's row before.
    func opening(_ opening: SessionOpening, id: String, at now: Instant) -> BoundStatement {
        SessionStatements.insertIfPassword(
            id,
            opening.user,
            opening.cookie?.hash,
            opening.origin.address.text,
            opening.origin.userAgent,
            opening.amr,
            now,
            lifetime.idleEnd(from: now),
            lifetime.absoluteEnd(from: now),
            opening.passwordHash
        )
    }

    func state(_ session: String) -> BoundStatement { SessionStatements.state(session) }

    func stateWithUser(_ session: String) -> BoundStatement { SessionStatements.stateWithUser(session) }

    /// Whether enough of the idle period is used up to move its end.
    func isSlideDue(_ session: Session, at now: Instant) -> Bool {
        session.expiresAt < min(now + lifetime.idle - lifetime.slideAfter, session.absoluteExpiresAt)
    }

    /// Slides the idle end if that is still due, and reads what there is then.
    func slid(_ state: SessionState, at now: Instant) async throws -> SessionState {
        let id = state.session.id
        guard let row = try await database.run([slide(id, at: now), self.state(id)])[1].first else {
            throw APIError(.sessionRevoked)
        }
        return try SessionState(row)
    }

    private func slide(_ session: String, at now: Instant) -> BoundStatement {
        SessionStatements.slide(session, now, now + lifetime.idle, now + lifetime.idle - lifetime.slideAfter)
    }

    /// The state of a session, or `nil` when there is none.
    package func current(_ session: String) async throws(StorageError) -> SessionState? {
        try await database.run(state(session)).first.map { row throws(StorageError) in try SessionState(row) }
    }

    /// The session that a cookie carries, its idle end slid when due.
    package func current(cookie: SessionCookie) async throws -> (state: SessionState, user: User) {
        let now = clock.now()
        guard let row = try await database.run(SessionStatements.stateByCookie(cookie.hash)).first else {
            throw APIError(.tokenInvalid)
        }
        let state = try SessionState(row)
        if let refusal = state.refusal(at: now, idleEnd: state.session.expiresAt) { throw APIError(refusal) }
        // Most requests write nothing; the slide tests its own condition again.
        if isSlideDue(state.session, at: now) { _ = try await database.run(slide(state.session.id, at: now)) }
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
        let now = clock.now()
        guard try await !database.run(SessionStatements.exists(session, owner)).isEmpty else {
            throw APIError(.notFound)
        }
        _ = try await database.run(revocation(of: session, reason: reason, actor: actor, origin: origin, at: now))
    }

    /// Ends many; unknown ids are passed over. Returns how many were living.
    package func revoke(_ sessions: [String], actor: String?, origin: Origin) async throws -> Int {
        let now = clock.now()
        let perSession = 4
        let unit = Set(sessions).sorted().flatMap {
            revocation(of: $0, reason: .revokedByAdmin, actor: actor, origin: origin, at: now)
        }
        let results = try await database.run(unit, priority: .long)
        return stride(from: perSession - 1, to: results.count, by: perSession).reduce(0) { $0 + results[$1].affected }
    }

    /// The four statements that end a session: the lock, the event, the audit row, the row itself.
    func revocation(
        of session: String,
        reason: RevokeReason,
        actor: String?,
        origin: Origin,
        at now: Instant
    ) -> [BoundStatement] {
        [
            users.lock(ofSession: session),
            events.sessionWillBeRevoked(session, at: now),
            audit.entry("session.revoke", actor: actor, ifSessionLives: session, origin: origin, at: now),
            SessionStatements.revoke(session, now, reason.rawValue),
        ]
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
        let results = try await database.run(
            revocationOfAll(ofUser: user, except: session, reason: reason, actor: actor, origin: origin, at: now)
        )
        guard results[0].affected > 0 else { throw APIError(.notFound) }
        return results[1].affected
    }

    /// The same for many users in one unit; unknown ids are passed over.
    package func revokeAll(ofUsers ids: [String], actor: String?, origin: Origin) async throws -> Int {
        let now = clock.now()
        let unit = Set(ids).sorted().map {
            revocationOfAll(ofUser: $0, except: nil, reason: .revokedByAdmin, actor: actor, origin: origin, at: now)
        }
        let results = try await database.run(unit.flatMap { $0 }, priority: .long)
        return stride(from: 1, to: results.count, by: 4).reduce(0) { $0 + results[$1].affected }
    }

    private func revocationOfAll(
        ofUser user: String,
        except session: String?,
        reason: RevokeReason,
        actor: String?,
        origin: Origin,
        at now: Instant
    ) -> [BoundStatement] {
        [
            users.bumpVersion(user, marker: now),
            ends.revokeAll(ofUser: user, except: session, reason: reason, at: now),
            events.userTokensRevoked(user: user, marker: now, exceptSession: session, at: now),
            audit.entry("sessions.revoke_all", actor: actor, ifUserExists: user, origin: origin, at: now),
        ]
    }

    /// Ends every session of everybody: one version and one event. Rows are marked afterwards, in batches.
    package func revokeEverything(actor: String?, origin: Origin) async throws {
        let now = clock.now()
        _ = try await database.run([
            SessionStatements.bumpGlobalVersion(now),
            events.allTokensRevoked(at: now),
            audit.entry("sessions.revoke_everything", actor: actor, target: nil, origin: origin, at: now),
        ])
    }

    // MARK: Lists

    /// Sessions, newest first, of one user or of all.
    package func list(ofUser user: String?, includeEnded: Bool, _ request: PageRequest) async throws -> Page<Session> {
        let now = clock.now()
        let forward = request.direction == .forward
        let cursor = request.cursor ?? .beyondNewest
        let idleEnd = now - lifetime.slideAfter
        let bound: BoundStatement
        if let user {
            let statement = forward ? SessionStatements.listOfUserAfter : SessionStatements.listOfUserBefore
            bound = statement(cursor.instant, cursor.id, request.fetchCount, now, idleEnd, includeEnded, user)
        } else {
            let statement = forward ? SessionStatements.listAfter : SessionStatements.listBefore
            bound = statement(cursor.instant, cursor.id, request.fetchCount, now, idleEnd, includeEnded)
        }
        let result = try await database.run(bound)
        return Page(fetched: try result.rows.map { try Session($0) }, request: request) { Cursor($0.createdAt, $0.id) }
    }
}
