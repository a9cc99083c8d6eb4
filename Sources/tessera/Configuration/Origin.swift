import Foundation
import ServiceKit

#if canImport(Glibc)
    import Glibc
#endif

/// Where a server is: scheme, host and port, as browsers compare and write them (RFC 6454, URL Standard §3.5).
enum Origin {
    /// Reads an `http` or `https` origin into the one spelling that browsers send. That is lower case, IDNA's ASCII
    /// form, an IP address in its shortest form, no default port, no slash at the end.
    ///
    /// `plain` allows http for any host. It must be false for what browsers and clients see, because cookies and tokens
    /// would be sent in the clear.
    static func parse(_ text: String, _ key: ConfigurationKey, plain: Bool) throws -> String {
        let trimmed = withoutSlash(text)
        // Foundation's part is IDNA's ASCII form of a host.
        guard let written = URL(string: trimmed),
            let url = WebURL(RequestText(written.absoluteString), schemes: [.https, .http]), url.isOrigin,
            let host = written.host(percentEncoded: false),
            let host = trimmed.contains("[") ? canonicalIPv6(host) : canonicalHost(host)
        else { throw ConfigurationError(key) }
        if url.scheme == .http, !plain, !isLoopback(host) {
            throw ConfigurationError(key, "must be https, unless the host is a loopback one")
        }
        let defaultPort = url.scheme == .http ? 80 : 443
        let port = url.port.flatMap { $0 == defaultPort ? nil : ":\($0)" } ?? ""
        return "\(url.scheme.rawValue)://\(host)\(port)"
    }

    /// The text of an origin as it was written. Programs compare an issuer character by character (RFC 8414 §2) with
    /// what they were given.
    static func withoutSlash(_ text: String) -> String {
        text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    /// The host of an origin as a browser writes it, for one without brackets; `nil` for what is none.
    private static func canonicalHost(_ said: String) -> String? {
        let host = said.lowercased()
        let isPlain = host.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || [0x2D, 0x2E, 0x5F].contains(byte)
        }
        guard !host.isEmpty, isPlain else { return nil }
        // URL Standard §3.5: a host whose last part is a number is an IPv4 address, or none.
        guard host.split(separator: ".").last.map(isNumber) ?? false else { return host }
        var address = in_addr()
        guard inet_aton(host, &address) != 0 else { return nil }
        return withUnsafeBytes(of: &address) { $0.map(String.init).joined(separator: ".") }
    }

    private static func isNumber(_ part: Substring) -> Bool {
        part.utf8.allSatisfy { (0x30...0x39).contains($0) }
            || part.hasPrefix("0x") && part.dropFirst(2).allSatisfy(\.isHexDigit)
    }

    /// RFC 5952 in brackets, but with the last 32 bits never dotted, as the URL Standard has it.
    private static func canonicalIPv6(_ host: String) -> String? {
        var address = in6_addr()
        guard inet_pton(AF_INET6, host, &address) == 1 else { return nil }
        let groups = withUnsafeBytes(of: &address) { bytes in
            stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        }
        let zeros = (0..<8).map { start in groups[start...].prefix { $0 == 0 }.count }
        let longest = zeros.max() ?? 0
        func text(_ groups: ArraySlice<UInt16>) -> String {
            groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard longest > 1, let start = zeros.firstIndex(of: longest) else { return "[\(text(groups[...]))]" }
        return "[\(text(groups[..<start]))::\(text(groups[(start + longest)...]))]"
    }

    /// Takes an origin in its one spelling.
    static func isLoopback(origin: String) -> Bool { isLoopback(host(of: origin)) }

    /// Of an origin in its one spelling; an IPv6 address in brackets.
    static func host(of origin: String) -> String {
        let rest = origin.split(separator: "/").last ?? ""
        let end =
            rest.hasPrefix("[") ? rest.firstIndex(of: "]").map { rest.index(after: $0) } : rest.firstIndex(of: ":")
        return String(rest[..<(end ?? rest.endIndex)])
    }

    /// Takes a host in its one spelling.
    private static func isLoopback(_ host: String) -> Bool {
        ["localhost", "[::1]"].contains(host) || IPNetwork("127.0.0.0/8")?.contains(host) == true
    }
}
