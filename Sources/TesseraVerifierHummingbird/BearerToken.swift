// Where a request carries its token: in the `Authorization` header (RFC 6750 §2.1), and nowhere else. Tokens in a query
// end up in logs and histories (RFC 9700 §4.3.2), and form bodies belong to the routes.
public import HTTPTypes

/// What a request's `Authorization` header holds.
public enum BearerToken: Sendable, Hashable {
    /// No header, or credentials of another scheme.
    case none
    /// More than one header, or `Bearer` without exactly one token behind it.
    case unreadable
    /// The token.
    case token(String)

    /// Reads the header.
    ///
    /// - Parameter headers: of the request.
    /// - Returns: what the header holds. The token is not verified.
    public static func read(_ headers: HTTPFields) -> BearerToken {
        let values = headers[values: .authorization]
        guard let value = values.first else { return .none }
        // SECURITY: of two headers a proxy may have judged the other one.
        guard values.count == 1 else { return .unreadable }
        // The scheme ignores case (RFC 9110 §11.1); one or more spaces follow it (§11.4).
        // By bytes: a token has hundreds of them, and looking for the bounds of characters costs more than its verification
        // does once it is known.
        let parts = value.utf8.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: true)
        guard let scheme = parts.first, Substring(scheme).lowercased() == "bearer" else { return .none }
        // Spaces behind the token are no second part.
        guard parts.count == 2 || parts.count == 3 && parts[2].allSatisfy({ $0 == UInt8(ascii: " ") }) else {
            return .unreadable
        }
        return .token(String(Substring(parts[1])))
    }
}
