// The ways a session ends.
import ServiceKit
package import Storage

/// Why a session was revoked, as its row and its owner read it.
package enum RevokeReason: String, Sendable {
    case logout
    case revokedByUser = "revoked_by_user"
    case revokedByAdmin = "revoked_by_admin"
    case passwordChanged = "password_changed"
    case refreshTokenReused = "refresh_token_reused"
}

extension Sessions {
    /// Ends one session, of one user unless `owner` is nil. Ending an ended one is no error.
    ///
    /// - Returns: whether there is such a session.
    package func revoke(
        _ session: String,
        owner: String?,
        reason: RevokeReason,
        actor: String?,
        origin: Origin
    ) async throws -> Bool {
        if try await database.run(SessionStatements.exists(id: session, owner: owner)).isEmpty { return false }
        try await end(session, reason: reason, actor: actor, origin: origin)
        return true
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

    /// Ends all sessions of a user, or all but one, and makes their access tokens stale everywhere.
    ///
    /// - Returns: how many were living; `nil` when there is no such user.
    package func revokeAll(
        ofUser user: String,
        except session: String? = nil,
        reason: RevokeReason,
        actor: String?,
        origin: Origin
    ) async throws -> Int? {
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
        return results[locked].affected > 0 ? results[revoked].affected : nil
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
        let revoked = transaction.add(
            SessionStatements.revokeAll(ofUser: user, except: session, reason: reason, at: now)
        )
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

    // MARK: Statements for other features' transactions, behind the lock of the user's row

    /// After a change of password: ends all sessions but one, if the user's password is the one just set.
    static func revocation(
        ofUser user: String,
        except session: String,
        ifPasswordIs hash: String,
        at now: Instant
    ) -> BoundStatement {
        SessionStatements.revokeAll(ofUser: user, except: session, ifPasswordIs: hash, at: now)
    }

    /// Ends all sessions of a user whom the transaction has deactivated.
    static func revocation(ofInactiveUser user: String, at now: Instant) -> BoundStatement {
        SessionStatements.revokeAll(ofInactiveUser: user, at: now)
    }

    /// Makes older tokens stale in every session of a user whom the transaction has changed.
    static func requireCurrentVersion(ofUser user: String, marker: Instant) -> BoundStatement {
        SessionStatements.requireCurrentVersion(ofUser: user, marker: marker)
    }

    /// Ends every session there is: none began under the version that counts from now on, which is at least `version`.
    static func revocationOfEverything(raisingVersionTo version: Int64, at now: Instant) -> BoundStatement {
        GlobalVersionStatements.raise(to: version, at: now)
    }

    /// Reads the version that a session must have begun under to be alive.
    static func globalVersion() -> BoundStatement { GlobalVersionStatements.current() }
}
