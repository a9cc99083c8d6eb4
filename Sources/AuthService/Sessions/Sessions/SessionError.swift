package enum SessionRefusal: Error, Sendable {
    case revoked, expired, userInactive
}

package enum SessionError: Error, Sendable {
    case unknown
    case ended(SessionRefusal)
    case fault(any Error)
}

/// Why a genuine, unexpired access token is no longer valid.
enum TokenRefusal: Error, Sendable {
    case ended(SessionRefusal)
    /// The token predates a change to the user. The session is valid: a refresh returns a good token.
    case stale
    case clientEnded
}
