// Header fields that HTTPTypes has no name for.
package import HTTPTypes

extension HTTPField.Name {
    package static let requestID = known("X-Request-ID")
    package static let forwardedFor = known("X-Forwarded-For")
    /// draft-ietf-httpapi-ratelimit-headers
    package static let rateLimit = known("RateLimit")
    /// HTTP/1.0's word for `no-store`, which RFC 6749 §5.1 still asks for.
    package static let pragma = known("Pragma")
    package static let fetchSite = known("Sec-Fetch-Site")

    /// A name written in the source; one that is no token of RFC 9110 §5.6.2 is a mistake that no test run survives.
    private static func known(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is not a field name") }
        return name
    }
}
