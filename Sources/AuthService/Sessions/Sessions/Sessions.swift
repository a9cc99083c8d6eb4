// Sessions: one row per login.
//
// A session is live until the first of: revoked, user deactivated, everything revoked (its global version is behind),
// idle too long, absolute end. It never revives. Its user lists and ends it; an admin ends any. Ending one takes the
// user's row (see Users), then writes the event, then the row. Of 64 concurrent requests the first writes the one
// event; the others find nothing to do.
package import ServiceKit
package import Storage

package struct Sessions: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let lifetime: SessionLifetime
    let users: Users
    let events: Events
    let audit: Audit

    package static let listName = "sessions"

    func newID(at now: Instant) -> String { ids.make(at: now) }

    /// For a transaction that has taken the user's row.
    func insertion(of session: NewSession, id: String, at now: Instant) -> BoundStatement {
        SessionStatements.insert(session: session, id: id, lifetime: lifetime, at: now)
    }

    func stateWithUser(of session: String) -> BoundStatement { SessionStatements.stateWithUser(id: session) }

    /// Whether enough of the idle period has passed to move its end.
    func isExtensionDue(_ session: Session, at now: Instant) -> Bool {
        session.expiresAt < min(now + lifetime.idle - lifetime.extensionInterval, session.absoluteExpiresAt)
    }

    /// Moves the idle end if that is still due, and reads the result; `nil` if the session is gone.
    func extendIdleExpiry(of state: SessionState, at now: Instant) async throws(StorageError) -> SessionState? {
        let id = state.session.id
        var transaction = Transaction()
        transaction.add(SessionStatements.extendIdleExpiry(id: id, lifetime: lifetime, at: now))
        let after = transaction.add(SessionStatements.state(id: id))
        return try await database.run(transaction)[after].first.map { row throws(StorageError) in
            try SessionState(row)
        }
    }

    package func current(_ session: String) async throws(StorageError) -> SessionState? {
        try await database.run(SessionStatements.state(id: session)).first.map { row throws(StorageError) in
            try SessionState(row)
        }
    }

    /// The verdict on a genuine token without a session.
    func refusal(withoutSessionOf user: String) async throws(StorageError) -> SessionRefusal {
        try await database.run(DeletedUserTokens.find(user: user)).isEmpty ? .revoked : .userInactive
    }

    /// Moves the idle end when due.
    package func current(cookie: SessionCookie) async throws(SessionError) -> (state: SessionState, user: User) {
        try await SessionError.catching {
            let now = clock.now()
            guard let row = try await database.run(SessionStatements.stateWithUser(cookie: cookie)).first else {
                let isOfDeleted = try await !database.run(DeletedUserTokens.find(cookie: cookie)).isEmpty
                throw isOfDeleted ? SessionError.ended(.userInactive) : SessionError.unknown
            }
            let state = try SessionState(row)
            if let refusal = state.refusal(at: now, idleEnd: state.session.expiresAt) {
                throw SessionError.ended(refusal)
            }
            // Most requests write nothing; the statement tests its own condition again.
            if isExtensionDue(state.session, at: now) {
                _ = try await database.run(
                    SessionStatements.extendIdleExpiry(id: state.session.id, lifetime: lifetime, at: now)
                )
            }
            return (state, try User(row))
        }
    }

    package func list(ofUser user: String?, includeEnded: Bool, _ request: PageRequest) async throws -> Page<Session> {
        let now = clock.now()
        let result = try await database.run(
            SessionListStatements.page(
                ofUser: user,
                direction: request.direction,
                from: request.cursor ?? .beyondNewest,
                limit: request.fetchCount,
                idleEnd: now - lifetime.extensionInterval,
                ended: includeEnded,
                at: now
            )
        )
        return Page(fetched: try result.rows.map { try Session($0) }, request: request) { Cursor($0.createdAt, $0.id) }
    }
}
