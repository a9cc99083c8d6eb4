// Versions of rows as HTTP names them (RFC 9110 §8.8.3 and §13.1.1).
package import HTTPTypes
package import Hummingbird

/// The ETag of a row with a version: `"v3"`.
package enum EntityTag {
    package static func version(_ version: Int64) -> String { "\"v\(version)\"" }
}

/// What a request's `If-Match` demands.
package enum VersionPrecondition: Sendable, Hashable {
    /// No `If-Match`, or `*`: any version will do, as long as the row exists.
    case none
    /// One of these.
    case oneOf(Set<Int64>)

    /// Tags that are weak or not ours match nothing, as strong comparison has it; so does a header that names none.
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

    /// Throws `precondition_failed` unless the row's version is one that was asked for.
    package func check(_ version: Int64) throws(APIError) {
        if case .oneOf(let versions) = self, !versions.contains(version) { throw APIError(.preconditionFailed) }
    }
}
