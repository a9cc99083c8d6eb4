package enum RefreshError: Error, Sendable {
    /// Not authentic, of a missing session, issued to another client, or ahead of its row.
    case invalid
    /// Used before, outside the grace period. Its session has ended.
    case reused
    case ended(SessionRefusal)
    /// The session's sign-in chose another audience. The token was not rotated.
    case otherAudience
    case rateLimited(RateLimited)
    /// The row did not change, for no visible reason: the same token may be retried.
    case undecided
    case fault(any Error)
}
