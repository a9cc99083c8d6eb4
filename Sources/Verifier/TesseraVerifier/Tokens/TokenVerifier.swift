// Decides whether to believe an access token, without asking anybody.
//
// From cheap to dear, and nothing of the payload is read before the signature is right: length, form, type, algorithm,
// key, signature, claims. The type keeps other JWTs of the same issuer out (RFC 8725 §3.11), the key decides the
// algorithm (§3.1), and issuer and audience say whose token it is and for whom. A token that was found good is
// remembered, and the next time only what may have changed is judged: the time, the key, the revocations.
import OpenSSLCrypto

/// Verifies the access tokens of one issuer for one service. Make one and share it.
public struct TokenVerifier: Sendable {
    /// SECURITY: the longest token, in bytes, that is looked at. The issuer's are under 1 KiB.
    private static let maximumLength = 8192

    private let requirements: TokenRequirements
    private let keys: any KeySource
    private let revocations: (any RevocationSource)?
    private let lookup: (any RevocationLookup)?
    private let verified: VerifiedTokenCache?

    /// Makes a verifier.
    ///
    /// - Parameters:
    ///   - requirements: what every token must say.
    ///   - keys: where the issuer's public keys come from.
    ///   - revocations: asked about every token that is otherwise good, such as a `RevocationFeed`; with neither this nor
    ///     a lookup a token stands until it expires.
    ///   - lookup: asked besides, by the `verify(_:)` that waits.
    ///   - cachedTokens: how many verified tokens are remembered, at some 700 bytes each; 0 for none.
    public init(
        requirements: TokenRequirements,
        keys: any KeySource,
        revocations: (any RevocationSource)? = nil,
        lookup: (any RevocationLookup)? = nil,
        cachedTokens: Int = 100_000
    ) {
        self.requirements = requirements
        self.keys = keys
        self.revocations = revocations
        self.lookup = lookup
        self.verified = cachedTokens > 0 ? VerifiedTokenCache(limit: cachedTokens) : nil
    }

    private init(_ other: TokenVerifier, _ revocations: (any RevocationSource)?, _ lookup: (any RevocationLookup)?) {
        self.requirements = other.requirements
        self.keys = other.keys
        self.revocations = revocations
        self.lookup = lookup
        self.verified = other.verified
    }

    /// The same requirements, keys and remembered tokens, with somebody else to say what was revoked. What is
    /// remembered is that a signature was right, whoever was asked then.
    package func asking(revocations: (any RevocationSource)? = nil, lookup: (any RevocationLookup)? = nil)
        -> TokenVerifier
    {
        TokenVerifier(self, revocations, lookup)
    }

    /// How many verified tokens are remembered now.
    public var cachedTokenCount: Int { verified?.count ?? 0 }

    /// Verifies with the keys and the revocations at hand: no I/O, no waiting, and no lookup.
    ///
    /// - Parameters:
    ///   - token: the text of the token, without `Bearer`.
    ///   - required: what the token must say besides, for this call.
    /// - Returns: what the token says.
    /// - Throws: `.unknownKey` when no key at hand has the token's `kid`, `.keysUnavailable` when there is no key at
    ///   all, `.revocationsUnavailable` when it is not known what was revoked, and other codes for a token that will
    ///   never be good.
    public func verify(
        _ token: String,
        requiring required: ClaimRequirement...
    ) throws(VerificationError) -> AccessTokenClaims {
        let claims = try claims(of: token)
        try required.check(claims, now: requirements.clock())
        return claims
    }

    /// Verifies, and if the token's key is not at hand waits for one look for it; then asks the lookup, if there is one.
    /// A token that was verified before, without a lookup, is not waited for.
    ///
    /// - Parameters:
    ///   - token: the text of the token, without `Bearer`.
    ///   - required: what the token must say besides, for this call.
    /// - Returns: what the token says.
    /// - Throws: `VerificationError`; or whatever a source throws that cannot tell, unchanged.
    public func verify(
        _ token: String,
        requiring required: ClaimRequirement...
    ) async throws -> AccessTokenClaims {
        let claims: AccessTokenClaims
        do throws(VerificationError) {
            claims = try self.claims(of: token)
        } catch {
            guard error.code == .unknownKey || error.code == .keysUnavailable else { throw error }
            try await keys.refresh(afterUnknownKeyID: try parse(token).keyID)
            claims = try self.claims(of: token)
        }
        try await lookup?.check(claims)
        try required.check(claims, now: requirements.clock())
        return claims
    }

    private func claims(of token: String) throws(VerificationError) -> AccessTokenClaims {
        guard token.utf8.count <= Self.maximumLength else { throw VerificationError(.malformed) }
        guard let verified else { return try judged(parse(token)).claims }
        let digest = SHA256.digest(of: token)
        if let claims = try remembered(digest, in: verified) { return claims }
        let fresh = try judged(parse(token))
        verified.keep(fresh, for: digest, now: requirements.clock())
        return fresh.claims
    }

    /// Takes it that text was verified, for the tests of what becomes of it then.
    func remember(_ token: VerifiedToken, as text: String) {
        verified?.keep(token, for: SHA256.digest(of: text), now: requirements.clock())
    }

    /// The claims of a token that was verified before; `nil` for one that must be verified now.
    private func remembered(
        _ digest: SHA256Digest,
        in verified: VerifiedTokenCache
    ) throws(VerificationError) -> AccessTokenClaims? {
        guard let token = verified.token(digest) else { return nil }
        // SECURITY: a token dies with its key.
        guard let key = keys.snapshot()[token.keyID], key.isSame(as: token.key) else {
            verified.forget(digest)
            return nil
        }
        do throws(VerificationError) {
            try requirements.checkTimes(token.claims, notBefore: token.notBefore)
            try revocations?.check(token.claims, keyID: token.keyID)
        } catch {
            switch error.code {
            // These may pass.
            case .issuedInFuture, .notYetValid, .revocationsUnavailable: break
            default: verified.forget(digest)
            }
            throw error
        }
        return token.claims
    }

    /// A token of the right form, not yet believed.
    private struct Candidate {
        let jws: ParsedJWS
        let algorithm: SigningAlgorithm
        let keyID: String
    }

    private func parse(_ token: String) throws(VerificationError) -> Candidate {
        guard let jws = try? JWS.parse(token), let keyID = jws.header.kid else {
            throw VerificationError(.malformed)
        }
        // RFC 9068 §4; RFC 7515 §4.1.9: a media type, so case does not count and `application/` may be left out.
        switch jws.header.typ?.lowercased() {
        case "at+jwt", "application/at+jwt": break
        default: throw VerificationError(.wrongType)
        }
        // SECURITY: `none`, `None`, HS256: there is no key that they could be right for, so none is looked for.
        guard let algorithm = SigningAlgorithm(rawValue: jws.header.alg) else {
            throw VerificationError(.unsupportedAlgorithm)
        }
        return Candidate(jws: jws, algorithm: algorithm, keyID: keyID)
    }

    private func judged(_ candidate: Candidate) throws(VerificationError) -> VerifiedToken {
        let known = keys.snapshot()
        guard let key = known[candidate.keyID] else {
            throw VerificationError(known.isEmpty ? .keysUnavailable : .unknownKey)
        }
        guard key.algorithm == candidate.algorithm else { throw VerificationError(.algorithmMismatch) }
        guard candidate.jws.isSigned(by: key) else { throw VerificationError(.invalidSignature) }
        let (claims, notBefore) = try AccessTokenClaims.read(candidate.jws.payload)
        try requirements.check(claims, notBefore: notBefore)
        try revocations?.check(claims, keyID: candidate.keyID)
        return VerifiedToken(claims: claims, notBefore: notBefore, keyID: candidate.keyID, key: key)
    }
}
