import ServiceKit
import Storage

/// As stored in the row and shown to the owner.
package enum RevokeReason: String, Sendable {
    case logout
    case revokedByUser = "revoked_by_user"
    case revokedByAdmin = "revoked_by_admin"
    case passwordChanged = "password_changed"
    case refreshTokenReused = "refresh_token_reused"
}

extension Sessions {
    /// Ends one session, of `owner` unless that is nil. Ending an ended one is no error.
    ///
    /// - Returns: whether there is such a session.
    package func revoke(
        _ session: String,
        owner: String?,
        reason: RevokeReason,
        actor: String?,
        from clientInfo: ClientInfo
    ) async throws -> Bool {
        if try await database.run(SessionStatements.exists(id: session, owner: owner)).isEmpty { return false }
        try await end(session, reason: reason, actor: actor, from: clientInfo)
        return true
    }

    /// The caller has checked that it may.
    ///
    /// `evidence`: of a stolen token, for an audit row of its own.
    func end(
        _ session: String,
        reason: RevokeReason,
        actor: String?,
        from clientInfo: ClientInfo,
        evidence: AuditDetails? = nil
    ) async throws {
        let now = clock.now()
        var transaction = Transaction()
        addRevocation(
            of: session,
            reason: reason,
            actor: actor,
            from: clientInfo,
            evidence: evidence,
            at: now,
            to: &transaction
        )
        _ = try await database.run(transaction)
    }

    /// Skips unknown ids. Returns how many were live.
    package func revoke(_ sessions: [String], actor: String?, from clientInfo: ClientInfo) async throws -> Int {
        let now = clock.now()
        var transaction = Transaction()
        let revoked = Set(sessions).sorted().map {
            addRevocation(of: $0, reason: .revokedByAdmin, actor: actor, from: clientInfo, at: now, to: &transaction)
        }
        let results = try await database.run(transaction, priority: .long)
        return revoked.reduce(0) { $0 + results[$1].affected }
    }

    /// Adds the statements that end a session: lock, event, audit rows, and the row itself, whose handle it
    /// returns.
    @discardableResult
    private func addRevocation(
        of session: String,
        reason: RevokeReason,
        actor: String?,
        from clientInfo: ClientInfo,
        evidence: AuditDetails? = nil,
        at now: Instant,
        to transaction: inout Transaction
    ) -> Transaction.Handle {
        transaction.lockUser(ofSession: session)
        transaction.add(events.sessionWillBeRevoked(session: session, at: now))
        if let evidence {
            transaction.add(
                audit.entry(
                    action: "refresh_token.reused",
                    actor: nil,
                    ifSessionLives: session,
                    from: clientInfo,
                    details: evidence,
                    at: now
                )
            )
        }
        transaction.add(
            audit.entry(action: "session.revoke", actor: actor, ifSessionLives: session, from: clientInfo, at: now)
        )
        return transaction.add(SessionStatements.revoke(id: session, reason: reason, at: now))
    }

    /// Ends all sessions of a user, or all but one, and makes their access tokens stale.
    ///
    /// - Returns: how many were live; `nil` if there is no such user.
    package func revokeAll(
        ofUser user: String,
        except session: String? = nil,
        reason: RevokeReason,
        actor: String?,
        from clientInfo: ClientInfo
    ) async throws -> Int? {
        let now = clock.now()
        var transaction = Transaction()
        let (locked, revoked) = addRevocation(
            ofAllOf: user,
            except: session,
            reason: reason,
            actor: actor,
            from: clientInfo,
            at: now,
            to: &transaction
        )
        let results = try await database.run(transaction)
        return results[locked].affected > 0 ? results[revoked].affected : nil
    }

    /// Many users in one transaction; skips unknown ids.
    package func revokeAll(ofUsers ids: [String], actor: String?, from clientInfo: ClientInfo) async throws -> Int {
        let now = clock.now()
        var transaction = Transaction()
        let revoked = Set(ids).sorted().map { user in
            addRevocation(
                ofAllOf: user,
                except: nil,
                reason: .revokedByAdmin,
                actor: actor,
                from: clientInfo,
                at: now,
                to: &transaction
            )
            .revoked
        }
        let results = try await database.run(transaction, priority: .long)
        return revoked.reduce(0) { $0 + results[$1].affected }
    }

    /// `locked`: the change of the user's row, which affects none if there is no such user.
    private func addRevocation(
        ofAllOf user: String,
        except session: String?,
        reason: RevokeReason,
        actor: String?,
        from clientInfo: ClientInfo,
        at now: Instant,
        to transaction: inout Transaction
    ) -> (locked: Transaction.Handle, revoked: Transaction.Handle) {
        let locked = transaction.add(users.bumpVersion(of: user, marker: now))
        let revoked = transaction.add(
            SessionStatements.revokeAll(ofUser: user, except: session, reason: reason, at: now)
        )
        transaction.add(events.userTokensRevoked(user: user, marker: now, exceptSession: session, at: now))
        transaction.add(
            audit.entry(action: "sessions.revoke_all", actor: actor, ifUserExists: user, from: clientInfo, at: now)
        )
        return (locked, revoked)
    }

    /// Ends all users' sessions with one version and one event. Rows are marked afterwards, in batches.
    package func revokeEverything(actor: String?, from clientInfo: ClientInfo) async throws {
        let now = clock.now()
        var transaction = Transaction()
        transaction.add(GlobalVersionStatements.bump(at: now))
        transaction.add(events.allTokensRevoked(at: now))
        transaction.add(
            audit.entry(action: "sessions.revoke_everything", actor: actor, target: nil, from: clientInfo, at: now)
        )
        _ = try await database.run(transaction)
    }

    /// After a change of password: ends all sessions but one, if the password is the one just set.
    static func revocation(
        ofUser user: String,
        except session: String,
        ifPasswordIs hash: String,
        at now: Instant
    ) -> BoundStatement {
        SessionStatements.revokeAll(ofUser: user, except: session, ifPasswordIs: hash, at: now)
    }

    /// For a transaction that has deactivated the user.
    static func revocation(ofInactiveUser user: String, at now: Instant) -> BoundStatement {
        SessionStatements.revokeAll(ofInactiveUser: user, at: now)
    }

    /// Makes older tokens stale in every session, for a transaction that has changed the user.
    static func requireCurrentVersion(ofUser user: String, marker: Instant) -> BoundStatement {
        SessionStatements.requireCurrentVersion(ofUser: user, marker: marker)
    }

    /// Raises the global version, at least to `version`.
    static func revocationOfEverything(raisingVersionTo version: Int64, at now: Instant) -> BoundStatement {
        GlobalVersionStatements.raise(to: version, at: now)
    }

    static func globalVersion() -> BoundStatement { GlobalVersionStatements.current() }
}
