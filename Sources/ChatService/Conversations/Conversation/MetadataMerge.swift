// Metadata is merged, not replaced: two frontends that keep their own members there do not erase each other's.
import ServiceKit

enum MetadataMerge {
    /// `stored` with the top-level members of `patch` put in or, where they are `null`, taken out. Members that the
    /// patch does not name keep their place and their bytes.
    static func apply(_ patch: [JSONElement.Member], to stored: String) throws -> String {
        let members = try JSONElement.parse(stored).object ?? []
        let changes = Dictionary(patch.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        let kept = Set(members.map(\.key))
        return JSONWriter.object { writer in
            for member in members {
                guard let change = changes[member.key] else {
                    writer.member(member.name, raw: member.value.raw)
                    continue
                }
                if !change.isNull { writer.member(member.name, raw: change.raw) }
            }
            for member in patch where !kept.contains(member.key) && !member.value.isNull {
                writer.member(member.name, raw: member.value.raw)
            }
        }.string
    }
}
