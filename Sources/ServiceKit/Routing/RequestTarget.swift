// The one place that takes a request's target apart.
//
// A path is split at its slashes, and then each segment is percent-decoded once. A client normalises its URL before it
// sends it (RFC 3986 §6.2.2, URL Standard §4.4). A target that is not normal is refused, not repaired:
//
//   400  a dot segment, in any spelling, also between escaped slashes; a malformed escape; bytes that are not UTF-8;
//        U+0000; a backslash, a fragment
//   404  an empty segment: a doubled or a trailing slash, or an id that was empty
//
// SECURITY: a gateway and a server that repair one target in two ways have two rules of access for it.

/// A request's path in its one spelling, and its query as it was sent.
package struct RequestTarget: Sendable {
    /// The path that the router sees, each segment decoded and written in one way. A target that leads nowhere has `/`,
    /// where nothing is.
    package let path: String
    /// What is behind the question mark.
    let query: [UInt8]
    /// Why the path is refused.
    package let refusal: APIError?

    private static let nowhere = "/"
    /// Of a request that was not read.
    package static let unread = RequestTarget(nowhere)

    /// Reads a target. What is below a path of `opaque` is another server's path, not ours to judge, and no byte of
    /// it is read. A gateway asks about a request as its client sent it, and makes 500 of a 400.
    package init(_ text: String, opaque: [String] = []) {
        let bytes = Self.withoutAuthority(Array(text.utf8))
        let path = bytes.prefix { $0 != UInt8(ascii: "?") }
        query = Array(bytes[path.endIndex...].dropFirst())
        do throws(Refusal) {
            guard path.first == UInt8(ascii: "/") else { throw .noPath }
            let foreign = opaque.first { path.starts(with: $0.utf8) }
            self.path = if let foreign { foreign + "-" } else { try Self.normal(path) }
            refusal = nil
        } catch {
            self.path = Self.nowhere
            refusal = APIError(.badRequest, detail: error.detail)
        }
    }

    /// RFC 9112 §3.2.2: a server accepts the absolute form too, and then the path begins behind the authority.
    private static func withoutAuthority(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        guard bytes.first != UInt8(ascii: "/") else { return bytes[...] }
        for scheme in ["http://", "https://"] {
            let start = bytes.prefix(scheme.utf8.count).map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
            guard start.elementsEqual(scheme.utf8) else { continue }
            let rest = bytes[scheme.utf8.count...].drop { ![0x2F, 0x3F, 0x23].contains($0) }
            return rest.first == UInt8(ascii: "/") ? rest : [UInt8(ascii: "/")] + rest
        }
        return bytes[...]
    }

    /// The path in one spelling, or `nowhere` when a segment is empty.
    private static func normal(_ path: ArraySlice<UInt8>) throws(Refusal) -> String {
        var isEmptySomewhere = false
        var bytes: [UInt8] = []
        bytes.reserveCapacity(path.count)
        for segment in path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            bytes.append(UInt8(ascii: "/"))
            if segment.isEmpty { isEmptySomewhere = true }
            if segment.allSatisfy(PercentEncoding.isPathCharacter) {
                guard !isDots(segment) else { throw .dotSegment }
                bytes += segment
            } else {
                let text = try decode(segment)
                guard !holdsDotSegment(text) else { throw .dotSegment }
                PercentEncoding.encode(segment: text.utf8, into: &bytes)
            }
        }
        return isEmptySomewhere ? nowhere : String(decoding: bytes, as: UTF8.self)
    }

    private static func decode(_ segment: ArraySlice<UInt8>) throws(Refusal) -> String {
        try checkCharacters(segment)
        do throws(PercentEncodingFault) {
            return try PercentEncoding.decode(segment, plusIsSpace: false)
        } catch {
            throw .encoding(error)
        }
    }

    /// Whether a decoded segment is a dot segment for a reader that takes its escaped slashes for slashes, or its
    /// backslashes as the URL Standard does.
    package static func holdsDotSegment(_ segment: String) -> Bool {
        segment.utf8.split { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }.contains(where: isDots)
    }

    private static func isDots(_ segment: some Collection<UInt8>) -> Bool {
        segment.count <= 2 && !segment.isEmpty && segment.allSatisfy { $0 == UInt8(ascii: ".") }
    }

    /// What no client sends unescaped, and readers disagree about: white space, controls, `#`, and `\`, which the URL
    /// Standard takes for a slash. U+FFFD is what the HTTP decoder puts where bytes were no UTF-8.
    private static func checkCharacters(_ segment: ArraySlice<UInt8>) throws(Refusal) {
        guard segment.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != 0x5C && $0 != 0x23 }) else { throw .character }
        guard !RequestTarget.holdsReplacement(segment) else { throw .encoding(.notUTF8) }
    }

    /// U+FFFD, unescaped.
    static func holdsReplacement(_ bytes: some Collection<UInt8>) -> Bool {
        var tail: (UInt8, UInt8) = (0, 0)
        for byte in bytes {
            if tail == (0xEF, 0xBF), byte == 0xBD { return true }
            tail = (tail.1, byte)
        }
        return false
    }

    private enum Refusal: Error {
        case noPath, dotSegment, character
        case encoding(PercentEncodingFault)

        var detail: String {
            switch self {
            case .noPath: "The request's target must be a path."
            case .dotSegment: "The path must not hold a dot segment."
            case .character: "The path holds a character that must be percent-encoded."
            case .encoding(let fault): fault.detail(of: "path")
            }
        }
    }
}

extension PercentEncodingFault {
    /// What is wrong with a part of the target.
    func detail(of part: String) -> String {
        switch self {
        case .malformedEscape:
            "A percent sign in the \(part) needs two hexadecimal digits behind it; the sign itself is written %25."
        case .notUTF8: "The \(part) must be UTF-8."
        case .nul: "The \(part) must not hold U+0000."
        }
    }
}
