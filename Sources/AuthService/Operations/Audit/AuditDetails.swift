// What changed, in the audit log.
//
// SECURITY: names, states and counts; never a password, token, code or secret.
import ServiceKit

/// What an audit row says beyond its columns: one JSON object.
struct AuditDetails: Sendable {
    let json: String

    static let none = AuditDetails(json: "{}")

    private init(json: String) {
        self.json = json
    }

    /// The members of one object.
    init(_ members: (inout JSONWriter) -> Void) {
        json = JSONWriter.object(members).string
    }

    /// A change, as `{"before": …, "after": …}` with the members that may differ; never a secret or its hash.
    ///
    /// - Parameters:
    ///   - before: the members that were found; `nil` (JSON null) if the action made its target.
    ///   - after: the members that are left; `nil` (JSON null) if the action removed its target.
    /// - Returns: the details.
    static func change(
        before: ((inout JSONWriter) -> Void)?,
        after: ((inout JSONWriter) -> Void)?
    ) -> AuditDetails {
        AuditDetails { writer in
            for (name, members) in [("before", before), ("after", after)] {
                writer.key(named: name) { writer in
                    if let members { writer.object(members) } else { writer.null() }
                }
            }
        }
    }
}
