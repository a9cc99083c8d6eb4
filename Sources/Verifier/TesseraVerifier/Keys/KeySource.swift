// Where a verifier's keys come from: over HTTP in most services, from the same process inside the issuer, which never
// calls itself.

/// Where an issuer's public keys come from.
public protocol KeySource: Sendable {
    /// The keys as they are known now. Asked for every token, so it waits for nothing and does no I/O.
    func snapshot() -> KeySet

    /// Looks for a key that the snapshot does not have.
    ///
    /// Anyone can make up key ids, so a source limits how often it really looks, and concurrent callers share one
    /// look. Afterwards the caller asks for a new snapshot: a key that is still missing does not exist.
    ///
    /// - Parameter keyID: the `kid` of a token's header: untrusted text, of up to 8 KiB.
    /// - Throws: `.keysUnavailable` when it could not be found out whether there is such a key, or a source's own
    ///   error for that.
    func refresh(afterUnknownKeyID keyID: String) async throws
}
