package import ServiceKit
// Who did what to whom, from where, and what came of it. Append-only.
//
// SECURITY: details are names and counts; never a password, token, code or secret.
package import Storage

/// Statements that append audit rows, for other features to put into their transactions.
package struct Audit: Sendable {
    /// An entry that is written whenever the transaction commits, whatever its other statements did.
    func entry(
        _ action: String,
        actor: String?,
        target: String?,
        origin: Origin,
        outcome: String = "success",
        details: String = "{}",
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.append(
            AuditStatements.Entry(action: action, actor: actor, target: target, origin: origin, now: now),
            outcome: outcome,
            details: details
        )
    }

    /// An entry that is written only if the user exists when the statement runs.
    func entry(
        _ action: String,
        actor: String?,
        ifUserExists user: String,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfUserExists(
            AuditStatements.Entry(action: action, actor: actor, target: user, origin: origin, now: now)
        )
    }

    /// An entry that is written only if this transaction changed the user: `marker` is what it set `updated_at` to.
    func entry(
        _ action: String,
        actor: String?,
        ifUserChanged user: String,
        marker: Instant,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfUserChanged(
            AuditStatements.Entry(action: action, actor: actor, target: user, origin: origin, now: now),
            marker: marker
        )
    }

    /// An entry that is written only if this transaction changed the client: `marker` is what it set `updated_at` to. Without a
    /// marker it is enough that the client exists.
    func entry(
        _ action: String,
        actor: String?,
        ifClientChanged client: String,
        marker: Instant?,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfClientChanged(
            AuditStatements.Entry(action: action, actor: actor, target: client, origin: origin, now: now),
            marker: marker
        )
    }

    /// An entry that is written only if the session is one that this transaction is about to revoke.
    func entry(
        _ action: String,
        actor: String?,
        ifSessionLives session: String,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfSessionLives(
            AuditStatements.Entry(action: action, actor: actor, target: session, origin: origin, now: now)
        )
    }
}
