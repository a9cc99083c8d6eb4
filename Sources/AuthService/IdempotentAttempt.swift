import Storage

/// A request with an `Idempotency-Key`, as it runs.
package struct IdempotentAttempt: Sendable {
    let principal: String
    let key: String
    /// Method and path.
    let route: String
    let requestHash: String
    /// Of this attempt alone.
    let seed: String
    let at: Instant
}
