// The append-only audit log.
import ServiceKit
import Storage

/// Statements that append audit rows to other features' transactions.
package struct Audit: Sendable {
    /// Written whenever the transaction commits.
    func entry(
        action: String,
        actor: String?,
        target: String?,
        from clientInfo: ClientInfo,
        outcome: String = "success",
        details: AuditDetails = .none,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.append(
            entry: AuditStatements.Entry(
                action: action,
                actor: actor,
                target: target,
                clientInfo: clientInfo,
                outcome: outcome,
                details: details,
                now: now
            )
        )
    }

    /// Written only if the user exists when the statement runs.
    func entry(
        action: String,
        actor: String?,
        ifUserExists user: String,
        from clientInfo: ClientInfo,
        details: AuditDetails = .none,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfUserExists(
            entry: AuditStatements.Entry(
                action: action,
                actor: actor,
                target: user,
                clientInfo: clientInfo,
                outcome: "success",
                details: details,
                now: now
            )
        )
    }

    /// Written only if this transaction set the user's `updated_at` to `marker`.
    func entry(
        action: String,
        actor: String?,
        ifUserChanged user: String,
        marker: Instant,
        from clientInfo: ClientInfo,
        details: AuditDetails = .none,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfUserChanged(
            entry: AuditStatements.Entry(
                action: action,
                actor: actor,
                target: user,
                clientInfo: clientInfo,
                outcome: "success",
                details: details,
                now: now
            ),
            marker: marker
        )
    }

    /// Written only if this transaction set the client's `updated_at` to `marker`; without a marker, if the client
    /// exists.
    func entry(
        action: String,
        actor: String?,
        ifClientChanged client: String,
        marker: Instant?,
        from clientInfo: ClientInfo,
        details: AuditDetails = .none,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfClientChanged(
            entry: AuditStatements.Entry(
                action: action,
                actor: actor,
                target: client,
                clientInfo: clientInfo,
                outcome: "success",
                details: details,
                now: now
            ),
            marker: marker
        )
    }

    /// Written only if this transaction is about to revoke the session.
    func entry(
        action: String,
        actor: String?,
        ifSessionLives session: String,
        from clientInfo: ClientInfo,
        details: AuditDetails = .none,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfSessionLives(
            entry: AuditStatements.Entry(
                action: action,
                actor: actor,
                target: session,
                clientInfo: clientInfo,
                outcome: "success",
                details: details,
                now: now
            )
        )
    }
}
