#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What every token must contain to be accepted by one service.
public struct TokenRequirements: Sendable {
    /// The trusted issuer; `iss` must be exactly this text.
    public var issuer: String
    /// This service's name; `aud` must contain exactly this text.
    public var audience: String
    /// The issuer introspects tokens for other services and compares their audiences elsewhere.
    package var demandsAudience = true
    /// How many seconds the issuer's clock may be ahead, for `iat` and `nbf`.
    ///
    /// It does not extend a token: it is refused at its `exp`. RFC 7519 §4.1.4 allows leeway there too, but clients
    /// refresh well before, so it would only help a stolen token.
    public var clockLeeway: Int64
    /// The time, in whole seconds since 1970.
    public var clock: @Sendable () -> Int64

    /// Makes requirements.
    ///
    /// - Parameters:
    ///   - issuer: the trusted issuer.
    ///   - audience: this service's name in `aud`.
    ///   - clockLeeway: seconds that the issuer's clock may be ahead, limited to 0…300.
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

    /// `takesExpired`: whether `exp` may have passed.
    func check(
        _ claims: AccessTokenClaims,
        notBefore: Int64?,
        takesExpired: Bool = false
    ) throws(VerificationError) {
        guard claims.issuer == issuer else { throw VerificationError(.wrongIssuer, claim: "iss") }
        // SECURITY: a token for one service must not open another (RFC 8725 §3.9).
        guard !demandsAudience || claims.audience.contains(audience) else {
            throw VerificationError(.wrongAudience, claim: "aud")
        }
        try checkTimes(claims, notBefore: notBefore, takesExpired: takesExpired)
    }

    /// Only these requirements can fail later for the same token.
    func checkTimes(
        _ claims: AccessTokenClaims,
        notBefore: Int64?,
        takesExpired: Bool = false
    ) throws(VerificationError) {
        let now = clock()
        guard takesExpired || now < claims.expiresAt else { throw VerificationError(.expired, claim: "exp") }
        guard claims.issuedAt <= now + clockLeeway else { throw VerificationError(.issuedInFuture, claim: "iat") }
        if let notBefore, notBefore > now + clockLeeway { throw VerificationError(.notYetValid, claim: "nbf") }
    }
}
