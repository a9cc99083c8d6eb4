// Why a session, or a token of one, is refused.

/// Why a session can no longer be used.
package enum SessionRefusal: Error, Sendable {
    case revoked, expired, userInactive
}

/// Why a cookie is refused.
package enum SessionError: Error, Sendable {
    /// No session has this cookie.
    case unknown
    case ended(SessionRefusal)
    case fault(any Error)
}

/// Why a genuine, unexpired access token no longer stands.
enum TokenRefusal: Error, Sendable {
    case ended(SessionRefusal)
    /// Older than a change to the user that it must know of. The session lives: a refresh gives a good one.
    case stale
    /// The service that it belongs to was disabled or removed.
    case clientEnded
}
