// Where a verifier's knowledge comes from. HTTP in services, in the process inside auth.

/// A supply of the issuer's public keys.
public protocol KeySource: Sendable {
    /// The keys as they are known now. Called for every token: no await, no I/O.
    func snapshot() -> KeySet

    /// Called when a token names a key that is not in the snapshot. Fetches anew unless that was done just now;
    /// concurrent callers share one fetch.
    func refresh(afterUnknownKeyID kid: String) async throws
}

/// A judge of tokens that are genuine and unexpired.
public protocol RevocationSource: Sendable {
    /// Throws `VerificationError` with `.revoked` or `.stale` for a token that must not be accepted any more; other
    /// errors mean that it could not be told.
    func check(_ claims: AccessTokenClaims) async throws
}
