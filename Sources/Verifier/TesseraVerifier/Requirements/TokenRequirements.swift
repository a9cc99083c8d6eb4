// What a service demands of every token, besides a good signature.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What every token must say to be accepted by one service.
public struct TokenRequirements: Sendable {
    /// The one issuer that is trusted; `iss` must be exactly this text.
    public var issuer: String
    /// This service's name; `aud` must contain exactly this text.
    public var audience: String
    /// Whether `audience` is demanded. The issuer itself, asked about tokens for others, compares audiences where it
    /// knows who asks.
    package var demandsAudience = true
    /// How many seconds the issuer's clock may be ahead of this one, for `iat` and `nbf`.
    ///
    /// It does not make a token live longer: at its `exp` a token is refused (RFC 7519 §4.1.4 allows leeway there too,
    /// but clients refresh well before, so it would serve only whoever kept an old token).
    public var clockLeeway: Int64
    /// The time, in whole seconds since 1970.
    public var clock: @Sendable () -> Int64

    /// Makes requirements.
    ///
    /// - Parameters:
    ///   - issuer: the one issuer that is trusted.
    ///   - audience: this service's name in `aud`.
    ///   - clockLeeway: seconds that the issuer's clock may be ahead; what is outside 0…300 is moved to the nearest end.
    ///   - clock: the time in seconds since 1970; the system's by default.
    public init(
        issuer: String,
        audience: String,
        clockLeeway: Int64 = 30,
        clock: @escaping @Sendable () -> Int64 = Self.systemClock
    ) {
        self.issuer = issuer
        self.audience = audience
        self.clockLeeway = min(max(clockLeeway, 0), 300)
        self.clock = clock
    }

    /// The system's wall clock, in seconds since 1970.
    public static let systemClock: @Sendable () -> Int64 = { Int64(time(nil)) }

    /// Passes claims that meet the requirements.
    func check(_ claims: AccessTokenClaims, notBefore: Int64?) throws(VerificationError) {
        guard claims.issuer == issuer else { throw VerificationError(.wrongIssuer, claim: "iss") }
        // SECURITY: a token for one service must not open another (RFC 8725 §3.9).
        guard !demandsAudience || claims.audience.contains(audience) else {
            throw VerificationError(.wrongAudience, claim: "aud")
        }
        try checkTimes(claims, notBefore: notBefore)
    }

    /// Passes claims that are good now. What else is required of a token never changes.
    func checkTimes(_ claims: AccessTokenClaims, notBefore: Int64?) throws(VerificationError) {
        let now = clock()
        guard now < claims.expiresAt else { throw VerificationError(.expired, claim: "exp") }
        guard claims.issuedAt <= now + clockLeeway else { throw VerificationError(.issuedInFuture, claim: "iat") }
        if let notBefore, notBefore > now + clockLeeway { throw VerificationError(.notYetValid, claim: "nbf") }
    }
}
