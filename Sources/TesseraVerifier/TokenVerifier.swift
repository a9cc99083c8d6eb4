// Decides whether to believe an access token, without asking anybody.
//
// Order: form, key, signature, then claims; nothing of a payload is looked at before its signature is right. The key
// decides the algorithm (RFC 8725 §3.1), the type keeps other JWTs of the same key out (RFC 8725 §3.11), and the
// audience keeps a token for one service from passing at another.
import OpenSSLCrypto

/// What a service demands of every token.
public struct TokenRequirements: Sendable {
    /// The one issuer that is trusted.
    public var issuer: String
    /// This service's name in `aud`.
    public var audience: String
    /// How far ahead an issuer's clock may be, in seconds, for `iat`. `exp` gets no leeway: a token's end is its end.
    public var clockLeeway: Int64
    /// Seconds since 1970.
    public var clock: @Sendable () -> Int64

    /// Makes requirements.
    ///
    /// - Parameters:
    ///   - issuer: the one issuer that is trusted.
    ///   - audience: this service's name in `aud`.
    ///   - clockLeeway: seconds that an issuer's clock may be ahead.
    ///   - clock: seconds since 1970.
    public init(
        issuer: String,
        audience: String,
        clockLeeway: Int64 = 30,
        clock: @escaping @Sendable () -> Int64 = SystemClock.seconds
    ) {
        self.issuer = issuer
        self.audience = audience
        self.clockLeeway = clockLeeway
        self.clock = clock
    }
}

/// Verifies access tokens.
public struct TokenVerifier: Sendable {
    private let requirements: TokenRequirements
    private let keys: any KeySource
    private let revocations: (any RevocationSource)?

    /// Bytes; ours are under 1 KiB.
    private static let longestToken = 8192

    /// Makes a verifier.
    ///
    /// - Parameters:
    ///   - requirements: what every token must say.
    ///   - keys: where the issuer's keys come from.
    ///   - revocations: asked by `verifyCurrent(_:)` about tokens that are genuine and unexpired.
    public init(requirements: TokenRequirements, keys: any KeySource, revocations: (any RevocationSource)? = nil) {
        self.requirements = requirements
        self.keys = keys
        self.revocations = revocations
    }

    /// Verifies with the keys at hand, without I/O and without asking about revocations.
    ///
    /// - Throws: `VerificationError`; `.unknownKey` when the key may be one that was not fetched yet.
    public func verify(_ token: String) throws(VerificationError) -> AccessTokenClaims {
        guard token.utf8.count <= Self.longestToken else { throw VerificationError(.malformed) }
        let parsed: ParsedJWS
        do {
            parsed = try JWS.parse(token)
        } catch {
            throw VerificationError(.malformed)
        }
        // RFC 9068 §4: the media type may carry its `application/` prefix; media types ignore case.
        guard ["at+jwt", "application/at+jwt"].contains(parsed.header.typ?.lowercased()) else {
            throw VerificationError(.wrongType)
        }
        let known = keys.snapshot()
        guard let kid = parsed.header.kid, let key = known[kid] else {
            throw VerificationError(known.isEmpty ? .keysUnavailable : .unknownKey)
        }
        guard parsed.header.alg == key.algorithm.rawValue else { throw VerificationError(.algorithmMismatch) }
        guard parsed.isSigned(by: key) else { throw VerificationError(.invalidSignature) }
        let claims = try AccessTokenClaims(payload: parsed.payload)
        try judge(claims)
        return claims
    }

    /// Verifies, waiting for a newer key set if the token names a key that is not known, and asks about revocations.
    ///
    /// - Throws: `VerificationError`, or what the revocation source throws when it cannot tell.
    public func verifyCurrent(_ token: String) async throws -> AccessTokenClaims {
        let claims: AccessTokenClaims
        do throws(VerificationError) {
            claims = try verify(token)
        } catch {
            guard [.unknownKey, .keysUnavailable].contains(error.code) else { throw error }
            try await keys.refresh(afterUnknownKeyID: (try? JWS.parse(token))?.header.kid ?? "")
            claims = try verify(token)
        }
        try await revocations?.check(claims)
        return claims
    }

    private func judge(_ claims: AccessTokenClaims) throws(VerificationError) {
        let now = requirements.clock()
        guard claims.issuer == requirements.issuer else { throw VerificationError(.wrongIssuer) }
        guard claims.audience.contains(requirements.audience) else { throw VerificationError(.wrongAudience) }
        guard now < claims.expiresAt else { throw VerificationError(.expired) }
        guard claims.issuedAt <= now + requirements.clockLeeway else { throw VerificationError(.issuedInFuture) }
    }
}
