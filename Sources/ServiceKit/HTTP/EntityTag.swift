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
        let values = request.headers[values: .ifMatch]
        let tags = values.joined(separator: ",").split(separator: ",")
            .map { $0.filter { $0 != " " && $0 != "\t" } }
        guard !values.isEmpty, !tags.contains("*") else {
            self = .none
            return
        }
        self = .oneOf(
            Set(
                tags.compactMap { tag in
                    guard tag.hasPrefix("\"v"), tag.hasSuffix("\""), tag.utf8.count > 3 else { return nil }
                    return Int64(tag.dropFirst(2).dropLast())
                }
            )
        )
    }

    /// Throws `precondition_failed` unless the version matches.
    package func check(_ version: Int64) throws(APIError) {
        if case .oneOf(let versions) = self, !versions.contains(version) { throw APIError(.preconditionFailed) }
    }
}
