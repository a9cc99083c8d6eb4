import Foundation
import ServiceKit

/// A server's scheme, host and port, as browsers compare them (RFC 6454).
enum Origin {
    /// Reads an `http` or `https` origin; a trailing slash is dropped.
    ///
    /// `plain` allows http for any host. It must be false for what browsers and clients see, because cookies and tokens
    /// would be sent in the clear.
    static func parse(_ text: String, _ key: ConfigurationKey, plain: Bool) throws -> String {
        let trimmed = text.hasSuffix("/") ? String(text.dropLast()) : text
        guard let url = URL(string: trimmed), let scheme = url.scheme, ["http", "https"].contains(scheme),
            let host = url.host(), !host.isEmpty, url.path.isEmpty, url.query == nil, url.fragment == nil,
            url.user == nil, url.password == nil, (1...65_535).contains(url.port ?? 443)
        else { throw ConfigurationError(key) }
        if scheme == "http", !plain, !isLoopback(host) {
            throw ConfigurationError(key, "must be https, unless the host is a loopback one")
        }
        return trimmed
    }

    static func isLoopback(_ host: String) -> Bool {
        ["localhost", "::1", "[::1]"].contains(host) || IPNetwork("127.0.0.0/8")?.contains(host) == true
    }
}
