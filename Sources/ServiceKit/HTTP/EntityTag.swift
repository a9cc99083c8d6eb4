import HTTPTypes
package import Hummingbird

/// The ETag of a row's version: `"v3"` (RFC 9110 §8.8.3).
package enum EntityTag {
    package static func version(_ version: Int64) -> String { "\"v\(version)\"" }
}

/// A request's `If-Match` (RFC 9110 §13.1.1).
package enum VersionPrecondition: Sendable, Hashable {
    /// No `If-Match`, or `*`: any version of an existing row.
    case none
    case oneOf(Set<Int64>)

    /// Weak and foreign tags match nothing, as strong comparison requires; so does a header without tags.
    package init(_ request: Request) {
        let tags = request.headers.elements(.ifMatch)
        guard request.headers.contains(.ifMatch), !tags.contains("*") else {
            self = .none
            return
        }
        self = .oneOf(
            Set(
                tags.compactMap { tag in
                    guard tag.byteCount > 3, tag.begins(with: "\"v"), tag.utf8.last == UInt8(ascii: "\"") else {
                        return nil
                    }
                    return Int64(Substring(tag.utf8.dropFirst(2).dropLast()))
                }
            )
        )
    }

    /// Throws `precondition_failed` unless the version matches.
    package func check(_ version: Int64) throws(APIError) {
        if case .oneOf(let versions) = self, !versions.contains(version) { throw APIError(.preconditionFailed) }
    }
}
