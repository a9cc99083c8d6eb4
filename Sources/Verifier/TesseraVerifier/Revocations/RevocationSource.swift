// Who knows that a genuine, unexpired token is not to be accepted any more. There are two kinds: what this process knows
// already, which is asked for every token, and what must be asked for elsewhere, which costs a wait.

/// Revocations that are known here.
public protocol RevocationSource: Sendable {
    /// Passes when the token still stands. Asked for every token, remembered or not, so it waits for nothing and does
    /// no I/O.
    ///
    /// - Parameters:
    ///   - claims: of a token that is genuine, unexpired and for this service.
    ///   - keyID: of the key that signed it.
    /// - Throws: `.revoked`, `.stale` or `.unknownKey` to refuse the token, `.revocationsUnavailable` when it cannot be
    ///   told.
    func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError)
}

/// Revocations that are looked up for each token, such as in the issuer's own database.
public protocol RevocationLookup: Sendable {
    /// Passes when the token still stands.
    ///
    /// - Parameter claims: of a token that is genuine, unexpired and for this service.
    /// - Throws: `VerificationError` with `.revoked` or `.stale` to refuse the token; any other error says that it
    ///   could not be told, and reaches the caller as it is.
    func check(_ claims: AccessTokenClaims) async throws
}
