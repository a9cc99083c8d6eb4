// Decides whether an access token is valid, without a request to the issuer.
//
// The checks run from cheap to expensive, and the payload is not read before the signature is verified: length, form,
// type, algorithm, key, signature, claims. The type excludes the issuer's other JWTs (RFC 8725 §3.11), and the key
// decides the algorithm (§3.1). A valid token is cached. Its next use checks only what may have changed: time, key and
// revocations.
import OpenSSLCrypto

/// Verifies the access tokens of one issuer for one service. Make one and share it.
public struct TokenVerifier: Sendable {
    /// SECURITY: the longest accepted token, in bytes. The issuer's are under 1 KiB.
    private static let maximumLength = 8192

    private let requirements: TokenRequirements
    private let keys: any KeySource
    private let revocations: (any RevocationSource)?
    private let lookup: (any RevocationLookup)?
    private let verified: VerifiedTokenCache?

    /// Makes a verifier.
    ///
    /// - Parameters:
    ///   - requirements: what every token must contain.
    ///   - keys: the source of the issuer's public keys.
    ///   - revocations: checked for every token that is otherwise valid, such as a `RevocationFeed`. With neither this
    ///     nor a lookup a token is valid until it expires.
    ///   - lookup: checked as well, by the asynchronous `verify`.
    ///   - cachedTokens: how many verified tokens are cached, at some 700 bytes each; 0 for none.
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

    /// The same requirements, keys and cache with other sources of revocations. The cache only records that a signature
    /// was valid, so it can be shared.
    package func asking(revocations: (any RevocationSource)? = nil, lookup: (any RevocationLookup)? = nil)
        -> TokenVerifier
    {
        TokenVerifier(self, revocations, lookup)
    }

    /// How many verified tokens are cached.
    public var cachedTokenCount: Int { verified?.count ?? 0 }

    /// Verifies with the current keys and revocations: no I/O, no waiting, no lookup.
    ///
    /// - Parameters:
    ///   - token: the text of the token, without `Bearer`.
    ///   - required: further requirements of this call.
    /// - Returns: the token's claims.
    /// - Throws: `.unknownKey` when the current keys lack the token's `kid`, `.keysUnavailable` when there are no keys,
    ///   `.revocationsUnavailable` when the revocations are unknown. Other codes mean that the token will never be
    ///   valid.
    public func verify(
        _ token: String,
        requiring required: ClaimRequirement...
    ) throws(VerificationError) -> AccessTokenClaims {
        let claims = try claims(of: token)
        try required.check(claims, now: requirements.clock())
        return claims
    }

    /// Verifies, fetches the keys once if the token's key is unknown, and then asks the lookup. A cached token needs no
    /// wait unless there is a lookup.
    ///
    /// - Parameters:
    ///   - token: the text of the token, without `Bearer`.
    ///   - required: further requirements of this call.
    /// - Returns: the token's claims.
    /// - Throws: `VerificationError`, or unchanged the error of a source that failed.
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

    /// The claims of a token of this issuer for this service that may have expired or been revoked. It proves who asked
    /// once, and opens nothing.
    ///
    /// - Parameter token: the text of the token.
    /// - Returns: the token's claims.
    /// - Throws: `VerificationError`, or unchanged the error of the keys' source.
    package func genuine(_ token: String) async throws -> AccessTokenClaims {
        guard token.utf8.count <= Self.maximumLength else { throw VerificationError(.malformed) }
        let candidate = try parse(token)
        if keys.snapshot()[candidate.keyID] == nil { try await keys.refresh(afterUnknownKeyID: candidate.keyID) }
        let (claims, notBefore, _) = try signed(candidate)
        try requirements.check(claims, notBefore: notBefore, takesExpired: true)
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

    /// Caches a token without verification, for tests.
    func remember(_ token: VerifiedToken, as text: String) {
        verified?.keep(token, for: SHA256.digest(of: text), now: requirements.clock())
    }

    /// `nil` for a token that must be verified.
    private func remembered(
        _ digest: SHA256Digest,
        in verified: VerifiedTokenCache
    ) throws(VerificationError) -> AccessTokenClaims? {
        guard let token = verified.token(digest) else { return nil }
        // SECURITY: a token is invalid once its key is gone.
        guard let key = keys.snapshot()[token.keyID], key.isSame(as: token.key) else {
            verified.forget(digest)
            return nil
        }
        do throws(VerificationError) {
            try requirements.checkTimes(token.claims, notBefore: token.notBefore)
            try revocations?.check(token.claims, keyID: token.keyID)
        } catch {
            switch error.code {
            // The token may become valid.
            case .issuedInFuture, .notYetValid, .revocationsUnavailable: break
            default: verified.forget(digest)
            }
            throw error
        }
        return token.claims
    }

    /// A token of the right form, not yet verified.
    private struct Candidate {
        let jws: ParsedJWS
        let algorithm: SigningAlgorithm
        let keyID: String
    }

    private func parse(_ token: String) throws(VerificationError) -> Candidate {
        guard let jws = try? JWS.parse(token), let keyID = jws.header.kid else {
            throw VerificationError(.malformed)
        }
        // RFC 9068 §4; RFC 7515 §4.1.9: a media type ignores case, and `application/` is optional.
        switch jws.header.typ?.lowercased() {
        case "at+jwt", "application/at+jwt": break
        default: throw VerificationError(.wrongType)
        }
        // SECURITY: no key matches `none`, `None` or HS256, so none is looked up.
        guard let algorithm = SigningAlgorithm(rawValue: jws.header.alg) else {
            throw VerificationError(.unsupportedAlgorithm)
        }
        return Candidate(jws: jws, algorithm: algorithm, keyID: keyID)
    }

    private func judged(_ candidate: Candidate) throws(VerificationError) -> VerifiedToken {
        let (claims, notBefore, key) = try signed(candidate)
        try requirements.check(claims, notBefore: notBefore)
        try revocations?.check(claims, keyID: candidate.keyID)
        return VerifiedToken(claims: claims, notBefore: notBefore, keyID: candidate.keyID, key: key)
    }

    private func signed(_ candidate: Candidate) throws(VerificationError) -> (
        claims: AccessTokenClaims, notBefore: Int64?, key: VerificationKey
    ) {
        let known = keys.snapshot()
        guard let key = known[candidate.keyID] else {
            throw VerificationError(known.isEmpty ? .keysUnavailable : .unknownKey)
        }
        guard key.algorithm == candidate.algorithm else { throw VerificationError(.algorithmMismatch) }
        guard candidate.jws.isSigned(by: key) else { throw VerificationError(.invalidSignature) }
        let (claims, notBefore) = try AccessTokenClaims.read(candidate.jws.payload)
        return (claims, notBefore, key)
    }
}
