// docs/schema-mapping.md is true: the columns it names exist on both engines, and no field of the five schemas is
// missing.
import Foundation
import Storage
import TestSupport
import Testing

@Suite("The mapping of the five schemas")
struct SchemaMappingTests {
    /// Fields of each table, including members of JSON that are columns here.
    private static let fields: [(schema: String, table: String, count: Int)] = [
        ("000", "users", 8), ("000", "sessions", 4), ("000", "chats", 9), ("000", "messages", 8),
        ("000", "artifacts", 9), ("000", "attachments", 7), ("001", "User", 10), ("001", "Session", 9),
        ("001", "Account", 14), ("001", "Verification", 6), ("001", "Chat", 8), ("001", "Message", 10),
        ("001", "Attachment", 8), ("002", "User", 3), ("002", "Chat", 5), ("002", "Message", 6), ("002", "Vote", 3),
        ("002", "Document", 6), ("002", "Suggestion", 9), ("002", "Stream", 3), ("003", "User", 16),
        ("003", "RefreshToken", 6), ("003", "Conversation", 14), ("003", "Message", 9), ("003", "File", 15),
        ("004", "users", 8), ("004", "sessions", 7), ("004", "messages", 7),
    ]

    struct Row: Hashable {
        let section: String
        let field: String
        /// As service.table.column.
        let columns: [String]
        let state: String
    }

    static func rows(of text: String) throws -> [Row] {
        var section = ""
        var rows: [Row] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { section = String(line.dropFirst(3)) }
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            guard cells.count == 6, cells[1].hasPrefix("`") else { continue }
            rows.append(
                Row(
                    section: section,
                    field: cells[1].replacing("`", with: ""),
                    columns: cells[2].matches(of: /`([^`]+)`/).map { String($0.1) },
                    state: cells[3]
                )
            )
        }
        return rows
    }

    private static func rows() throws -> [Row] {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../../docs/schema-mapping.md").standardized
        return try rows(of: String(contentsOf: file, encoding: .utf8))
    }

    @Test("every field of the five is in it, once")
    func complete() throws {
        let sections = Dictionary(grouping: try Self.rows(), by: \.section)
        #expect(Set(sections.keys) == Set(Self.fields.map { "\($0.schema) · \($0.table) (\($0.count))" }))
        for (schema, table, count) in Self.fields {
            let rows = sections["\(schema) · \(table) (\(count))"] ?? []
            #expect(rows.count == count, "\(schema) \(table)")
            #expect(Set(rows.map(\.field)).count == count, "\(schema) \(table)")
        }
    }

    @Test("owned and stored columns are there, and the tables of planned rows are not", arguments: TestEngine.allCases)
    func columns(engine: TestEngine) async throws {
        let rows = try Self.rows()
        var catalogs: [String: SchemaCatalog] = [:]
        for service in ["auth", "chat"] {
            catalogs[service] = try await withDatabase(engine, service: service) { try await SchemaCatalog.read($0) }
        }
        #expect(Self.violations(rows, catalogs) == [])
    }

    @Test("a column that is missing, a table that came and a word that is none are noticed")
    func noticed() throws {
        let text = """
            ## 000 · users (4)
            | field | here | state | how |
            |---|---|---|---|
            | `id` | `auth.users.id` | owned | |
            | `mood` | `auth.users.id`, `auth.users.mood` | owned | |
            | `late` | `auth.users.id` | planned | |
            | `soon` | `auth.moods.id` | planned | |
            | `never` | `auth.users.id` | dropped | |
            | `nowhere` |  | owned | |
            | `lost` | `auth.users.lost` | stored | |
            """
        var users = SchemaCatalog.Table()
        users.columns = [.init(name: "id", type: "TEXT", isNullable: false, hasDefault: false)]
        let violations = Self.violations(try Self.rows(of: text), ["auth": SchemaCatalog(tables: ["users": users])])
        #expect(violations.count == 5, "\(violations)")
        for field in ["mood", "late", "never", "nowhere", "lost"] {
            #expect(violations.contains { $0.contains(field) }, "\(field)")
        }
    }

    private static func violations(_ rows: [Row], _ catalogs: [String: SchemaCatalog]) -> [String] {
        rows.flatMap { row -> [String] in
            let name = "\(row.section) \(row.field)"
            if row.columns.isEmpty { return ["\(name) has no home"] }
            return row.columns.compactMap { column -> String? in
                let parts = column.split(separator: ".").map(String.init)
                guard parts.count == 3, let catalog = catalogs[parts[0]] else {
                    return "\(name): \(column) is no column"
                }
                let table = catalog.tables[parts[1]]
                switch row.state {
                case "owned", "stored":
                    let isThere = table?.columns.contains { $0.name == parts[2] } ?? false
                    return isThere ? nil : "\(name): \(column) is not there"
                case "planned":
                    return table == nil ? nil : "\(name): \(column) is planned, and its table exists"
                default:
                    return "\(name): \(row.state) is no state"
                }
            }
        }
    }
}
