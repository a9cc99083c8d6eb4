import ServiceKit

enum MetadataMerge {
    /// Merges the top-level members of `patch` into `stored`; `null` removes one. Other members keep their place and
    /// their bytes, so two frontends do not erase each other's metadata.
    static func apply(_ patch: [JSONElement.Member], to stored: String) throws -> String {
        let members = try JSONElement.parse(stored).object ?? []
        let changes = Dictionary(patch.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        let kept = Set(members.map(\.name))
        return JSONWriter.object { writer in
            for member in members {
                guard let change = changes[member.name] else {
                    writer.member(member.name, raw: member.value.raw)
                    continue
                }
                if !change.isNull { writer.member(member.name, raw: change.raw) }
            }
            for member in patch where !kept.contains(member.name) && !member.value.isNull {
                writer.member(member.name, raw: member.value.raw)
            }
        }.string
    }
}
