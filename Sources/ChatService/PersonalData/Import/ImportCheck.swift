// The first pass over an import: it must be a complete export. Nothing is written before it passes.
import ServiceKit
import Storage

package struct ImportCheck: Sendable {
    package private(set) var user: String?
    private var counts: [String: Int64] = [:]
    private var expected: [String: Int64]?
    private var lines = 0
    private let entities: [ExportedEntity]
    private var rules: ImportRules?
    /// Where the entity of the last line stands in the order of an export.
    private var place = 0

    init(flat: [FlatExport]) { entities = ExportReader.entities(flat) }

    /// The line has no line feed.
    package mutating func take(_ line: [UInt8]) throws(ImportRefusal) {
        lines += 1
        guard expected == nil else { throw ImportRefusal("line \(lines) comes after the trailer") }
        let entity = try Self.entity(of: line, number: lines)
        if lines == 1 {
            let header = try Self.parse(line, number: lines)
            guard entity == "header", header["format"]?.text == RequestText(ExportReader.format),
                let user = header["user_id"]?.text, RowID.isValid(user)
            else { throw ImportRefusal("line 1 is not the header of an export") }
            guard header["version"]?.integer == ExportReader.version else {
                throw ImportRefusal(
                    "the export has version \(header["version"]?.raw ?? "?"), not \(ExportReader.version)"
                )
            }
            self.user = user.verbatim
            let exportedAt = header["exported_at"]?.text.flatMap { Instant(rfc3339: $0.verbatim) }
            rules = ImportRules(user: user.verbatim, exportedAt: exportedAt)
        } else if entity == "trailer" {
            try Self.checked(lines) { () throws(ImportRefusal) in try rules?.finishConversation() }
            let members = try Self.parse(line, number: lines)["counts"]?.object ?? []
            expected = Dictionary(
                members.map { ($0.name.verbatim, $0.value.integer ?? -1) },
                uniquingKeysWith: { first, _ in first }
            )
        } else {
            guard let kind = entities.first(where: { $0.name == entity }) else {
                throw ImportRefusal("line \(lines) is a \(entity), which is not known here")
            }
            counts[entity, default: 0] += 1
            try checkOrder(of: entity)
            let element = try Self.parse(line, number: lines)
            try Self.checked(lines) { () throws(ImportRefusal) in
                try rules?.take(ImportedRow(entity: entity, values: kind.row(element) { $0 }))
            }
        }
    }

    /// Heads of conversations that an import sets in place of what their lines say.
    package var heads: [String: String?] { rules?.heads ?? [:] }

    /// Entities come in their order, conversations with their messages, and the person once.
    private mutating func checkOrder(of entity: String) throws(ImportRefusal) {
        let own = entity == ConversationExport.message.name ? ConversationExport.conversation.name : entity
        let next = entities.firstIndex { $0.name == own } ?? 0
        guard next >= place, entity != PrincipalExport.principal.name || counts[entity] == 1 else {
            throw ImportRefusal("line \(lines): a \(entity) does not come here")
        }
        place = next
    }

    private static func checked(_ line: Int, _ body: () throws(ImportRefusal) -> Void) throws(ImportRefusal) {
        do throws(ImportRefusal) {
            try body()
        } catch {
            throw ImportRefusal("line \(line): \(error)")
        }
    }

    /// Throws unless the file is complete.
    package func finish() throws(ImportRefusal) {
        guard let expected else {
            throw ImportRefusal("the file ends after line \(lines) without a trailer: it is not all of the export")
        }
        for name in Set(expected.keys).union(counts.keys).sorted() where expected[name] ?? 0 != counts[name] ?? 0 {
            throw ImportRefusal("the file has \(counts[name] ?? 0) of \(expected[name] ?? 0) \(name) lines")
        }
    }

    static func parse(_ line: [UInt8], number: Int) throws(ImportRefusal) -> JSONElement {
        do {
            return try JSONElement.parse(line)
        } catch {
            throw ImportRefusal("line \(number) is not JSON: \(error)")
        }
    }

    /// Lines begin with their entity, so that this pass need not parse megabytes.
    private static func entity(of line: [UInt8], number: Int) throws(ImportRefusal) -> String {
        let beginning = Array(#"{"entity":""#.utf8)
        guard line.starts(with: beginning),
            let end = line[beginning.count...].prefix(80).firstIndex(of: UInt8(ascii: "\""))
        else { throw ImportRefusal("line \(number) does not say what it is") }
        return String(decoding: line[beginning.count..<end], as: UTF8.self)
    }
}
