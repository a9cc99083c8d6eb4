// What docs/schema-mapping.md says of each column: what reads it, and which test proves that. StorageTests compares its
// columns with the schema.
import Foundation
import Testing

@Suite("What reads the columns of the mapping")
struct SchemaMappingTests {
    private struct Mapping {
        /// The columns of each row, with its state.
        var rows: [(field: String, columns: [String], state: String)] = []
        var read: [(column: String, by: String, file: String, function: String)] = []
        var stored: [String] = []

        init(_ text: String) {
            var section = ""
            for line in text.split(separator: "\n") {
                if line.hasPrefix("## ") { section = String(line.dropFirst(3)) }
                let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                let quoted = cells.map { $0.matches(of: /`([^`]+)`/).map { String($0.1) } }
                guard let first = quoted.first?.first else { continue }
                switch (section, quoted.count) {
                case ("Columns that are read", 3):
                    let cited = quoted[2]
                    read.append((first, quoted[1].first ?? "", cited.first ?? "", cited.count > 1 ? cited[1] : ""))
                case ("Columns that are stored", 2): stored.append(first)
                case (_, 4):
                    let state = cells[cells.startIndex + 2].trimmingCharacters(in: .whitespaces)
                    rows.append(("\(section) \(first)", quoted[1], state))
                default: break
                }
            }
        }
    }

    private static func mapping() throws -> Mapping { Mapping(try Repository.text("docs/schema-mapping.md")) }

    @Test("each owned or stored column is in one of the two lists at the end, and no other")
    func columns() throws {
        let mapping = try Self.mapping()
        let present = Set(mapping.rows.filter { $0.state != "planned" }.flatMap(\.columns))
        let listed = mapping.read.map(\.column) + mapping.stored
        #expect(Set(listed).count == listed.count)
        #expect(present.count > 50 && Set(listed) == present, "\(present.symmetricDifference(listed).sorted())")
    }

    @Test("a row is owned when one of its columns is read, and stored when none is")
    func states() throws {
        let mapping = try Self.mapping()
        for row in mapping.rows where row.state != "planned" {
            let isStored = row.columns.allSatisfy(mapping.stored.contains)
            #expect(row.state == (isStored ? "stored" : "owned"), "\(row.field)")
        }
    }

    @Test("what reads a column is a member or an operation of openapi.yaml")
    func members() throws {
        let contract = try Contract()
        var operations: Set<String> = []
        for item in contract.paths.values {
            for operation in item.values.compactMap({ $0 as? [String: Any] }) {
                operations.insert("\(operation["operationId"] as? String ?? "")()")
            }
        }
        for row in try Self.mapping().read {
            let parts = row.by.split(separator: ".").map(String.init)
            if parts.count == 2 {
                let schema = ["$ref": "#/components/schemas/\(parts[0])"]
                #expect(Self.members(of: schema, contract).contains(parts[1]), "\(row.column): \(row.by)")
            } else {
                #expect(operations.contains(row.by), "\(row.column): \(row.by)")
            }
        }
    }

    private static func members(of schema: [String: Any], _ contract: Contract) -> Set<String> {
        let schema = contract.resolve(schema)
        let own = (schema["properties"] as? [String: Any] ?? [:]).keys
        let parts = schema["allOf"] as? [[String: Any]] ?? []
        return parts.reduce(into: Set(own)) { $0.formUnion(members(of: $1, contract)) }
    }

    @Test("each cited test is there, and names the column or the member that it reads")
    func tests() throws {
        for row in try Self.mapping().read {
            let path = "Tests/\(row.file)"
            guard Repository.exists(path) else {
                Issue.record("\(row.column): \(path) is not there")
                continue
            }
            let text = try Repository.text(path)
            let parts = text.components(separatedBy: "func \(row.function)(")
            guard parts.count == 2, let before = parts.first, before.contains("@Test") else {
                Issue.record("\(row.column): \(path) has no test \(row.function)")
                continue
            }
            let body = parts[1].components(separatedBy: "\n    }\n")[0]
            let names = [row.column.split(separator: "."), row.by.split(separator: ".")].compactMap { $0.last }
            // An operation is called by a function of the harness, or by its path.
            #expect(row.by.hasSuffix("()") || names.contains { body.contains($0) }, "\(row.column): \(row.function)")
        }
    }
}
