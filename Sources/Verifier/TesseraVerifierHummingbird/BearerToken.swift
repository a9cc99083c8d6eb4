// A token comes in the `Authorization` header (RFC 6750 §2.1) and nowhere else. Tokens in a query end up in logs and
// histories (RFC 9700 §4.3.2), and form bodies belong to the routes.
public import HTTPTypes

/// The token in a request's `Authorization` header.
public enum BearerToken: Sendable, Hashable {
    /// No header, or credentials of another scheme.
    case none
    /// More than one header, or `Bearer` without exactly one token.
    case unreadable
    /// The token.
    case token(String)

    /// Reads the header.
    ///
    /// - Parameter headers: of the request.
    /// - Returns: the token, not verified.
    public static func read(_ headers: HTTPFields) -> BearerToken {
        let values = headers[values: .authorization]
        guard var value = values.first else { return .none }
        // SECURITY: a proxy may have judged the other one of two headers.
        guard values.count == 1 else { return .unreadable }
        // Scans bytes and splits nothing: a token has hundreds of them, and every request brings one.
        return value.withUTF8 { bytes in
            let space = UInt8(ascii: " ")
            func end(from start: Int) -> Int { bytes[start...].firstIndex(of: space) ?? bytes.count }
            func start(from end: Int) -> Int? { bytes[end...].firstIndex { $0 != space } }
            // The scheme ignores case (RFC 9110 §11.1); one or more spaces follow it (§11.4).
            guard let scheme = start(from: 0), isBearer(bytes[scheme..<end(from: scheme)]) else { return .none }
            guard let token = start(from: end(from: scheme)) else { return .unreadable }
            // Trailing spaces are not a second token.
            guard start(from: end(from: token)) == nil else { return .unreadable }
            return .token(String(decoding: bytes[token..<end(from: token)], as: UTF8.self))
        }
    }

    private static func isBearer(_ scheme: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        // The bit that distinguishes cases, and no two other bytes of the word.
        scheme.count == 6 && zip(scheme, "bearer".utf8).allSatisfy { $0 | 0x20 == $1 }
    }
}
