/// Revocations that this process knows.
public protocol RevocationSource: Sendable {
    /// Throws unless the token is still valid. Called for every token, cached or not, so it does no I/O and does not
    /// wait.
    ///
    /// - Parameters:
    ///   - claims: of a token that is genuine, unexpired and for this service.
    ///   - keyID: of the key that signed it.
    /// - Throws: `.revoked`, `.stale`, `.userInactive` or `.unknownKey` to refuse the token, `.revocationsUnavailable`
    ///   if its state is unknown.
    func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError)
}

/// Revocations that are looked up for each token, such as in the issuer's database.
public protocol RevocationLookup: Sendable {
    /// Throws unless the token is still valid.
    ///
    /// - Parameter claims: of a token that is genuine, unexpired and for this service.
    /// - Throws: `VerificationError` with `.revoked`, `.stale` or `.userInactive` to refuse the token. Any other error
    ///   means that its state is unknown, and reaches the caller unchanged.
    func check(_ claims: AccessTokenClaims) async throws
}
