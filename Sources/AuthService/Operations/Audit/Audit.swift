package import ServiceKit
// Who did what to whom, from where, and what came of it. Append-only.
//
// SECURITY: details are names and counts; never a password, token, code or secret.
package import Storage

/// Where a request came from, as audit rows and sessions remember it.
package struct Origin: Sendable, Hashable {
    package let address: ClientAddress
    package let userAgent: String?

    package init(address: ClientAddress, userAgent: String?) {
        self.address = address
        // A header may be megabytes long; a row should not be.
        self.userAgent = userAgent.map { String($0.prefix(512)) }
    }

    package static let commandLine = Origin(address: .unknown, userAgent: "tessera")
}

/// Statements that append audit rows, for other features to put into their units.
package struct Audit: Sendable {
    /// An entry that is written whenever the unit commits, whatever its other statements did.
    func entry(
        _ action: String,
        actor: String?,
        target: String?,
        origin: Origin,
        outcome: String = "success",
        details: String = "{}",
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.append(now, actor, action, target, origin.address.text, origin.userAgent, outcome, details)
    }

    /// An entry that is written only if the user exists when the statement runs.
    func entry(
        _ action: String,
        actor: String?,
        ifUserExists user: String,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfUser(now, actor, action, user, origin.address.text, origin.userAgent)
    }

    /// An entry that is written only if this unit changed the user: `marker` is what it set `updated_at` to.
    func entry(
        _ action: String,
        actor: String?,
        ifUserChanged user: String,
        marker: Instant,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfChanged(now, actor, action, user, origin.address.text, origin.userAgent, marker)
    }

    /// An entry that is written only if this unit changed the client: `marker` is what it set `updated_at` to. Without a
    /// marker it is enough that the client exists.
    func entry(
        _ action: String,
        actor: String?,
        ifClientChanged client: String,
        marker: Instant?,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfClient(now, actor, action, client, origin.address.text, origin.userAgent, marker)
    }

    /// An entry that is written only if the session is one that this unit is about to revoke.
    func entry(
        _ action: String,
        actor: String?,
        ifSessionLives session: String,
        origin: Origin,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfLiving(now, actor, action, session, origin.address.text, origin.userAgent)
    }
}

enum AuditStatements {
    static let append = Statement(
        "audit.append",
        .writes,
        [.instant, .text, .text, .text, .text, .text, .text, .text],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """
    )

    static let appendIfUser = Statement(
        "audit.append_if_user",
        .writes,
        [.instant, .text, .text, .text, .text, .text],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome)
        SELECT $1, $2, $3, id, $5, $6, 'success' FROM users WHERE id = $4
        """
    )

    static let appendIfChanged = Statement(
        "audit.append_if_changed",
        .writes,
        [.instant, .text, .text, .text, .text, .text, .instant],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome)
        SELECT $1, $2, $3, id, $5, $6, 'success' FROM users WHERE id = $4 AND updated_at = $7
        """
    )

    static let appendIfLiving = Statement(
        "audit.append_if_living",
        .writes,
        [.instant, .text, .text, .text, .text, .text],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome)
        SELECT $1, $2, $3, id, $5, $6, 'success' FROM sessions WHERE id = $4 AND revoked_at IS NULL
        """
    )

    static let appendIfClient = Statement(
        "audit.append_if_client",
        .writes,
        [.instant, .text, .text, .text, .text, .text, .instant],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome)
        SELECT $1, $2, $3, id, $5, $6, 'success' FROM clients WHERE id = $4 AND ($7 IS NULL OR updated_at = $7)
        """
    )

    static let deleteBefore = Statement(
        "audit.delete_before",
        .writes,
        [.instant, .integer],
        "DELETE FROM audit_log WHERE seq IN (SELECT seq FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2)"
    )

    static let all = [append, appendIfUser, appendIfChanged, appendIfLiving, appendIfClient, deleteBefore]
}
