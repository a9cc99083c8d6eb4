// SQL of `sessions`.
//
// Conditions that another transaction may change are in a statement *after* the one that takes the user's row. On
// PostgreSQL a statement that waits for a lock re-reads the locked row only; its subqueries keep the old snapshot. A
// login with the old password would survive a reset.
import OpenSSLCrypto
import ServiceKit
import Storage

enum SessionStatements {
    private static let insertIfPassword = Statement(
        "sessions.insert_if_password",
        .writes,
        [
            "id": .text, "user": .text, "token_hash": .bytes, "address": .text, "agent": .text, "amr": .text,
            "now": .instant, "idle_end": .instant, "absolute_end": .instant, "audience": .text, "hash": .text,
        ]
    ) { engine in
        """
        INSERT INTO sessions (
            id, user_id, token_hash, ip_address, user_agent, amr, auth_time, created_at, updated_at, last_seen_at,
            expires_at, absolute_expires_at, required_version, global_version, audience)
        SELECT :id, u.id, :token_hash, :address, :agent, :amr, :now, :now, :now, :now, :idle_end, :absolute_end,
            u.token_version, g.integer_value, :audience
        FROM users u
        \(OnePlan.each("accounts", as: "a", where: Accounts.isPassword(table: "a", of: "u.id"), engine))
        JOIN settings g ON g.key = 'global_token_version'
        WHERE u.id = :user AND u.is_active AND a.password_hash = :hash
        RETURNING id
        """
    }

    /// Zero rows unless the user is active and the session's condition holds.
    static func insert(
        session: NewSession,
        id: String,
        lifetime: SessionLifetime,
        at now: Instant
    ) -> BoundStatement {
        let amr = session.methods.map(\.rawValue).joined(separator: ",")
        let values: StatementValues = [
            "id": id, "user": session.user, "token_hash": session.cookie?.hash,
            "address": session.clientInfo.address.text, "agent": session.clientInfo.userAgent, "amr": amr, "now": now,
            "idle_end": lifetime.idleEnd(from: now), "absolute_end": lifetime.absoluteEnd(from: now),
            "audience": session.audience,
        ]
        return switch session.condition {
        case .passwordIs(let hash): insertIfPassword.bind(values + ["hash": hash])
        }
    }

    private static let state = Statement(
        "sessions.state",
        .reads,
        ["id": .text],
        "SELECT \(SessionState.columns) FROM sessions s \(SessionState.joins) WHERE s.id = :id"
    )

    static func state(id: String) -> BoundStatement { state.bind(["id": id]) }

    private static let columnsWithUser = SessionState.columns(Session.joinedColumns, User.joinedColumns)

    private static let stateWithUser = Statement(
        "sessions.state_with_user",
        .reads,
        ["id": .text],
        "SELECT \(columnsWithUser) FROM sessions s \(SessionState.joins) WHERE s.id = :id"
    )

    /// With the whole user, for the answer.
    static func stateWithUser(id: String) -> BoundStatement { stateWithUser.bind(["id": id]) }

    private static let stateByCookie = Statement(
        "sessions.state_by_cookie",
        .reads,
        ["token_hash": .bytes],
        "SELECT \(columnsWithUser) FROM sessions s \(SessionState.joins) WHERE s.token_hash = :token_hash"
    )

    static func stateWithUser(cookie: SessionCookie) -> BoundStatement {
        stateByCookie.bind(["token_hash": cookie.hash])
    }

    private static let exists = Statement(
        "sessions.exists",
        .reads,
        ["id": .text, "owner": .text],
        "SELECT id FROM sessions WHERE id = :id AND (:owner IS NULL OR user_id = :owner)"
    )

    /// `owner`: the required user, or `nil`.
    static func exists(id: String, owner: String?) -> BoundStatement { exists.bind(["id": id, "owner": owner]) }

    private static let extendIdleExpiry = Statement(
        "sessions.slide",
        .writes,
        ["id": .text, "now": .instant, "idle_end": .instant, "due": .instant],
        """
        UPDATE sessions SET
            expires_at = CASE WHEN absolute_expires_at < :idle_end THEN absolute_expires_at ELSE :idle_end END,
            last_seen_at = :now, updated_at = :now
        WHERE id = :id AND revoked_at IS NULL AND expires_at < :due AND expires_at < absolute_expires_at
        """
    )

    /// Moves the idle end when enough of the period has passed, never past the absolute end.
    static func extendIdleExpiry(id: String, lifetime: SessionLifetime, at now: Instant) -> BoundStatement {
        extendIdleExpiry.bind([
            "id": id, "now": now, "idle_end": now + lifetime.idle,
            "due": now + lifetime.idle - lifetime.extensionInterval,
        ])
    }

    private static let revoke = Statement(
        "sessions.revoke",
        .writes,
        ["id": .text, "now": .instant, "reason": .text],
        """
        UPDATE sessions SET revoked_at = :now, revoke_reason = :reason, updated_at = :now
        WHERE id = :id AND revoked_at IS NULL
        """
    )

    static func revoke(id: String, reason: RevokeReason, at now: Instant) -> BoundStatement {
        revoke.bind(["id": id, "now": now, "reason": reason.rawValue])
    }

    /// Of rows that the user has found. An index on what has not ended would walk the sessions of all.
    private static let isLiving = OnePlan.check("revoked_at IS NULL")

    private static let revokeOfUser = Statement(
        "sessions.revoke_of_user",
        .writes,
        ["user": .text, "except": .text, "now": .instant, "reason": .text],
        """
        UPDATE sessions SET revoked_at = :now, revoke_reason = :reason, updated_at = :now
        WHERE user_id = :user AND \(isLiving) AND (:except IS NULL OR id <> :except)
        """
    )

    /// `except`: a session that continues.
    static func revokeAll(
        ofUser user: String,
        except session: String?,
        reason: RevokeReason,
        at now: Instant
    ) -> BoundStatement {
        revokeOfUser.bind(["user": user, "except": session, "now": now, "reason": reason.rawValue])
    }

    private static let revokeOfUserIfPassword = Statement(
        "sessions.revoke_of_user_if_password",
        .writes,
        ["user": .text, "except": .text, "now": .instant, "reason": .text, "hash": .text],
        """
        UPDATE sessions SET revoked_at = :now, revoke_reason = :reason, updated_at = :now
        WHERE user_id = :user AND \(isLiving) AND (:except IS NULL OR id <> :except)
            AND EXISTS (
                SELECT 1 FROM accounts
                WHERE \(Accounts.isPassword(table: "accounts", of: ":user")) AND accounts.password_hash = :hash)
        """
    )

    /// After a change of password, if the password is the one just set.
    static func revokeAll(
        ofUser user: String,
        except session: String?,
        ifPasswordIs hash: String,
        at now: Instant
    ) -> BoundStatement {
        revokeOfUserIfPassword.bind([
            "user": user, "except": session, "now": now, "reason": RevokeReason.passwordChanged.rawValue, "hash": hash,
        ])
    }

    private static let revokeOfInactive = Statement(
        "sessions.revoke_of_inactive",
        .writes,
        ["user": .text, "now": .instant],
        """
        UPDATE sessions SET revoked_at = :now, revoke_reason = 'user_deactivated', updated_at = :now
        WHERE user_id = :user AND \(isLiving)
            AND EXISTS (SELECT 1 FROM users WHERE users.id = :user AND NOT users.is_active)
        """
    )

    static func revokeAll(ofInactiveUser user: String, at now: Instant) -> BoundStatement {
        revokeOfInactive.bind(["user": user, "now": now])
    }

    private static let requireCurrentVersion = Statement(
        "sessions.require_current_version",
        .writes,
        ["user": .text, "marker": .instant],
        """
        UPDATE sessions SET required_version = (SELECT token_version FROM users WHERE users.id = :user)
        WHERE user_id = :user AND \(isLiving)
            AND EXISTS (SELECT 1 FROM users WHERE users.id = :user AND users.updated_at = :marker)
        """
    )

    /// After a role change, tokens with an older version are stale in every session of the user.
    static func requireCurrentVersion(ofUser user: String, marker: Instant) -> BoundStatement {
        requireCurrentVersion.bind(["user": user, "marker": marker])
    }

    static let all = [
        insertIfPassword, state, stateWithUser, stateByCookie, exists, extendIdleExpiry, revoke, revokeOfUser,
        revokeOfUserIfPassword, revokeOfInactive, requireCurrentVersion,
    ]
}
