// How many requests a service takes from one account, and from one address without an account (decision 0034).
//
// SECURITY: a person's requests count wherever they come from, and only with a token that was verified: forged ones
// would use up another's bucket. What carries no valid token counts for its network. Services with credentials of
// their own are not limited, since they ask for many people.
package import HTTPTypes

/// The limits as they are configured.
package struct RequestLimits: Sendable, Hashable {
    package var isOn = true
    package var person: RequestRate
    package var address: RequestRate

    package init(
        person: RequestRate = RequestRate(perSecond: 50, burst: 500),
        address: RequestRate = RequestRate(perSecond: 50, burst: 500)
    ) {
        self.person = person
        self.address = address
    }

    /// None; for tests that send as fast as they can.
    package static let off: RequestLimits = {
        var limits = RequestLimits()
        limits.isOn = false
        return limits
    }()
}

/// The buckets of one service on one node.
package final class RequestCounters: Sendable {
    private let isOn: Bool
    private let persons: TokenBuckets
    /// What gateways ask about persons: many requests to other services, each with its own limits.
    private let asked: TokenBuckets
    private let addresses: TokenBuckets

    package init(_ limits: RequestLimits) {
        isOn = limits.isOn
        persons = TokenBuckets(policy: "person", rate: limits.person)
        asked = TokenBuckets(policy: "asked", rate: limits.person)
        addresses = TokenBuckets(policy: "address", rate: limits.address)
    }

    /// Counts the current request for a person, who was proved to have sent it. Throws `rate_limited`.
    package func count(person id: String) throws(APIError) {
        RequestScope.current?.identify(.person(id))
        try count(id, in: persons)
    }

    /// Counts what a gateway asks about a person. Throws `rate_limited`.
    package func count(askedAbout id: String) throws(APIError) {
        RequestScope.current?.identify(.person(id))
        try count(id, in: asked)
    }

    /// Counts the use of one session's refresh token, which says of itself whose it is. Throws `rate_limited`.
    package func count(session id: String) throws(APIError) {
        try count(id, in: persons)
    }

    /// Counts a request without an account. Throws `rate_limited`.
    func count(from address: ClientAddress) throws(APIError) {
        // A transport without addresses, as in tests.
        guard address.text != nil else { return }
        try count(address.network, in: addresses)
    }

    private func count(_ owner: String, in buckets: TokenBuckets) throws(APIError) {
        guard isOn else { return }
        let verdict = buckets.take(owner)
        RequestScope.current?.verdict = verdict
        guard let seconds = verdict.retryAfter else { return }
        throw APIError.retry(.rateLimited, afterSeconds: seconds)
    }
}

extension RequestVerdict {
    /// The fields of draft-ietf-httpapi-ratelimit-headers-10.
    package func add(to headers: inout HTTPFields) {
        let window = max(1, rate.burst / rate.perSecond)
        headers[.rateLimitPolicy] = "\"\(policy)\";q=\(rate.burst);w=\(window)"
        headers[.rateLimit] = "\"\(policy)\";r=\(remaining);t=\(retryAfter ?? reset)"
    }
}
