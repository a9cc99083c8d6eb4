/// Why a refresh token is refused.
package enum RefreshError: Error, Sendable {
    /// Not authentic, of a session that is gone, issued to another client, or ahead of its row.
    case invalid
    /// Used before, outside of the grace period. Its session has ended.
    case reused
    case ended(SessionRefusal)
    /// Too many refusals from this network.
    case rateLimited(RateLimited)
    /// The row stood still though nothing speaks against it: the same token is good once more.
    case undecided
    case fault(any Error)
}
