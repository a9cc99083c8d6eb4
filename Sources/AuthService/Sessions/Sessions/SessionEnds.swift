// The ways a session ends, as statements for other features' units. They stand after the user's row was taken.
import Storage

/// Why a session was revoked, as its row and its owner read it.
package enum RevokeReason: String, Sendable {
    case logout
    case revokedByUser = "revoked_by_user"
    case revokedByAdmin = "revoked_by_admin"
    case passwordChanged = "password_changed"
    case refreshTokenReused = "refresh_token_reused"
}

package struct SessionEnds: Sendable {
    func revokeAll(ofUser user: String, except session: String?, reason: RevokeReason, at now: Instant)
        -> BoundStatement
    {
        SessionStatements.revokeOfUser(user, session, now, reason.rawValue)
    }

    func revokeAll(
        ofUser user: String,
        except session: String?,
        ifPasswordIs hash: String,
        at now: Instant
    ) -> BoundStatement {
        SessionStatements.revokeOfUserIfPassword(user, session, now, RevokeReason.passwordChanged.rawValue, hash)
    }

    func revokeAllOfInactive(_ user: String, at now: Instant) -> BoundStatement {
        SessionStatements.revokeOfInactive(user, now)
    }

    /// Ends every session there is: none began under the version that counts from now on, which is at least `version`.
    func endAll(raisingVersionTo version: Int64, at now: Instant) -> BoundStatement {
        SessionStatements.raiseGlobalVersion(now, version)
    }

    /// The version that a session must have begun under to be alive.
    var globalVersion: BoundStatement { SessionStatements.globalVersion() }

    func requireCurrentVersion(ofUser user: String, marker: Instant) -> BoundStatement {
        SessionStatements.requireCurrentVersion(user, marker)
    }
}
