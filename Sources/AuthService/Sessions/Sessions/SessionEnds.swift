// The ways a session ends, as statements for other features' transactions. They stand after the user's row was taken.
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
        SessionStatements.revokeAll(ofUser: user, except: session, reason: reason, at: now)
    }

    func revokeAll(
        ofUser user: String,
        except session: String?,
        ifPasswordIs hash: String,
        at now: Instant
    ) -> BoundStatement {
        SessionStatements.revokeAll(ofUser: user, except: session, ifPasswordIs: hash, at: now)
    }

    func revokeAllOfInactive(_ user: String, at now: Instant) -> BoundStatement {
        SessionStatements.revokeAll(ofInactiveUser: user, at: now)
    }

    /// Ends every session there is: none began under the version that counts from now on, which is at least `version`.
    func endAll(raisingVersionTo version: Int64, at now: Instant) -> BoundStatement {
        GlobalVersionStatements.raise(to: version, at: now)
    }

    /// The version that a session must have begun under to be alive.
    var globalVersion: BoundStatement { GlobalVersionStatements.current() }

    func requireCurrentVersion(ofUser user: String, marker: Instant) -> BoundStatement {
        SessionStatements.requireCurrentVersion(ofUser: user, marker: marker)
    }
}
