// A URL that browsers and services may be sent to: the type of every field and setting that is one.
//
// SECURITY: a page puts it into `src` or `href`, and a log into a line. So it is parsed, not compared by its beginning:
// no other scheme, no user or password, which show one host and name another, no control character, encoded or not.

/// An absolute `https` or `http` URL by RFC 3986, as it was written.
package struct WebURL: Sendable, Hashable {
    package enum Scheme: String, Sendable {
        case https, http
    }

    /// As written: non-ASCII characters are percent-encoded there, and in a host by IDNA.
    package let text: RequestText
    package let scheme: Scheme
    /// As written; an IPv6 address with its brackets.
    package let host: RequestText
    package let port: Int?
    /// Whether path, query and fragment are absent.
    package let isOrigin: Bool

    /// `nil` for anything else, also for a scheme that is not among `schemes`.
    package init?(_ text: RequestText, schemes: Set<Scheme> = [.https]) {
        guard Self.isPlain(text), let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")),
            let scheme = RequestText(String(text.verbatim[..<colon])).keyword.flatMap(Scheme.init(rawValue:)),
            schemes.contains(scheme),
            let rest = RequestText(String(text.verbatim[colon...])).dropping(prefix: "://")
        else { return nil }
        let end = rest.utf8.firstIndex { Self.authorityEnds.contains($0) } ?? rest.utf8.endIndex
        let authority = RequestText(String(rest.verbatim[..<end]))
        guard let (host, port) = Self.authority(authority) else { return nil }
        let isOrigin = end == rest.utf8.endIndex
        (self.text, self.scheme, self.host, self.port, self.isOrigin) = (text, scheme, host, port, isOrigin)
    }

    private static let authorityEnds = Set("/?#".utf8)
    private static let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    private static let subDelimiters = Set("!$&'()*+,;=".utf8)
    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    /// RFC 3986 §2: what may stand in a URL besides percent-encoded octets.
    private static let allowed = unreserved.union(subDelimiters).union(Set(":/?#[]@".utf8))

    /// Only characters of RFC 3986 §2, and no encoded control character.
    private static func isPlain(_ text: RequestText) -> Bool {
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "%") else {
                guard allowed.contains(byte) else { return false }
                continue
            }
            guard let high = bytes.next().flatMap(hexValue), let low = bytes.next().flatMap(hexValue) else {
                return false
            }
            let octet = high << 4 | low
            guard octet >= 0x20, octet != 0x7F else { return false }
        }
        return true
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// RFC 3986 §3.2 without `userinfo`; the host is not empty (RFC 9110 §4.2).
    private static func authority(_ text: RequestText) -> (host: RequestText, port: Int?)? {
        var host = text
        var port: Int?
        let hostEnd = text.begins(with: "[") ? text.utf8.firstIndex(of: UInt8(ascii: "]")) : text.utf8.startIndex
        guard let hostEnd else { return nil }
        if let colon = text.utf8[hostEnd...].firstIndex(of: UInt8(ascii: ":")) {
            let number = text.utf8[text.utf8.index(after: colon)...]
            guard number.allSatisfy(digits.contains), (1...5).contains(number.count),
                let value = Int(String(Substring(number))), (1...65_535).contains(value)
            else { return nil }
            port = value
            host = RequestText(String(text.verbatim[..<colon]))
        }
        guard isHost(host) else { return nil }
        return (host, port)
    }

    private static func isHost(_ host: RequestText) -> Bool {
        guard (1...255).contains(host.byteCount) else { return false }
        if host.begins(with: "[") {
            guard host.utf8.last == UInt8(ascii: "]") else { return false }
            return host.utf8.dropFirst().dropLast().allSatisfy {
                $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") || hexValue($0) != nil
            }
        }
        return host.utf8.allSatisfy { unreserved.contains($0) || subDelimiters.contains($0) || $0 == UInt8(ascii: "%") }
    }
}

extension JSONBody {
    /// A URL, or `null`.
    package mutating func patchURL(_ name: String, schemes: Set<WebURL.Scheme>) -> Patch<RequestText> {
        let patch = patchText(name, max: 2048)
        guard case .value(let text) = patch else { return patch }
        guard WebURL(text, schemes: schemes) != nil else {
            let kinds = schemes.contains(.http) ? "http or https" : "https"
            addError(name, "invalid", "must be an absolute \(kinds) URL, without user, password and control characters")
            return .absent
        }
        return .value(text)
    }
}
