package import HTTPTypes

extension HTTPField.Name {
    package static let requestID = known("X-Request-ID")
    package static let forwardedFor = known("X-Forwarded-For")
    /// RFC 7239
    package static let forwarded = known("Forwarded")
    /// draft-ietf-httpapi-ratelimit-headers
    package static let rateLimit = known("RateLimit")
    package static let rateLimitPolicy = known("RateLimit-Policy")
    package static let accelBuffering = known("X-Accel-Buffering")
    /// draft-ietf-httpapi-idempotency-key-header-07, and the mark of a repeated answer.
    package static let idempotencyKey = known("Idempotency-Key")
    package static let idempotencyReplayed = known("Idempotency-Replayed")
    package static let lastEventID = known("Last-Event-ID")
    /// HTTP/1.0's `no-store`, which RFC 6749 §5.1 still requires.
    package static let pragma = known("Pragma")
    package static let fetchSite = known("Sec-Fetch-Site")
    /// The method of the request that a gateway asks about, as Caddy, Traefik and nginx guides name it.
    package static let forwardedMethod = known("X-Forwarded-Method")
    package static let originalMethod = known("X-Original-Method")

    // The caller, in `/v1/validate`'s answer to a gateway.
    package static let authUser = known("X-Auth-User")
    package static let authSession = known("X-Auth-Session")
    package static let authClient = known("X-Auth-Client")
    package static let authRole = known("X-Auth-Role")
    package static let authKind = known("X-Auth-Kind")
    package static let authScope = known("X-Auth-Scope")
    package static let authEmailVerified = known("X-Auth-Email-Verified")

    /// For names in the source. An invalid one (RFC 9110 §5.6.2) fails in every test run.
    private static func known(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is not a field name") }
        return name
    }
}
