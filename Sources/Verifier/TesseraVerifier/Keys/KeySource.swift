// A verifier's keys come over HTTP in most services. Inside the issuer they come from the same process.

/// A source of an issuer's public keys.
public protocol KeySource: Sendable {
    /// The current keys. Called for every token, so it does no I/O and does not wait.
    func snapshot() -> KeySet

    /// Looks for a key that the snapshot does not have.
    ///
    /// Anyone can invent key ids, so a source limits its requests, and concurrent callers share one. The caller then
    /// takes a new snapshot: a key that is still missing does not exist.
    ///
    /// - Parameter keyID: the `kid` of a token's header: untrusted text of up to 8 KiB.
    /// - Throws: `.keysUnavailable`, or a source's own error, when the source could not find out whether the key
    ///   exists.
    func refresh(afterUnknownKeyID keyID: String) async throws
}
