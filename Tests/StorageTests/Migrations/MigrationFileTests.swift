import Embedded
import Foundation
import Storage
import TestSupport
import Testing

@Suite("migration files")
struct MigrationFileTests {
    @Test("the binary embeds exactly the files of the folder, with their contents")
    func registry() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../migrations")
            .standardized
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".sql") }
        let embedded = EmbeddedFile.all(under: "migrations/")
        #expect(Set(embedded.map(\.path)) == Set(files.map { "migrations/\($0)" }))
        #expect(embedded.count == files.count)
        for file in embedded {
            let name = String(file.path.dropFirst("migrations/".count))
            #expect(file.text == (try String(contentsOf: folder.appending(path: name), encoding: .utf8)), "\(name)")
        }
    }

    @Test("every embedded migration has both sections, and renders on both engines", arguments: TestEngine.allCases)
    func sections(engine: TestEngine) throws {
        let engine = try #require(SQLEngine(rawValue: engine.rawValue))
        for migration in try EmbeddedFile.migrations() {
            for direction in [Migration.Direction.up, .down] {
                let script = try migration.section(direction).script(for: engine)
                #expect(!script.contains("{{"))
                #expect(script.contains("TABLE") || script.contains("INDEX"))
            }
        }
    }

    @Test(
        "a file name of another shape is refused",
        arguments: [
            "auth_0001.sql", "auth_1_init.sql", "auth_0000_init.sql", "auth_0001_init.txt", "auth_0001_init.mysql.sql",
            "init.sql",
        ]
    )
    func names(name: String) {
        #expect(throws: StorageError.self) { try Migration(fileName: name, source: "") }
    }

    @Test("an engine's own file says so in its name")
    func engineNames() throws {
        let migration = try Migration(fileName: "chat_0012_text_search.postgres.sql", source: "")
        #expect(migration.service == "chat")
        #expect(migration.number == 12)
        #expect(migration.name == "chat_0012_text_search")
        #expect(migration.engine == .postgres)
    }

    @Test("sections are told apart, with their options")
    func parsing() throws {
        let source = """
            -- A story.
            -- migrate:up transaction:false
            CREATE INDEX a ON b (c);
            -- migrate:down
            DROP INDEX a;
            """
        let migration = try Migration(fileName: "auth_0002_index.sql", source: source)
        let up = try migration.section(.up)
        #expect(up.sql == "CREATE INDEX a ON b (c);")
        #expect(!up.usesTransaction)
        let down = try migration.section(.down)
        #expect(down.sql == "DROP INDEX a;")
        #expect(down.usesTransaction)
    }

    @Test(
        "a section that is missing, doubled, unknown or with an unknown option is refused",
        arguments: [
            "-- migrate:down\nx", "-- migrate:up\nx\n-- migrate:up\ny", "-- migrate:sideways\n",
            "-- migrate:up fast:true\nx",
        ]
    )
    func brokenSections(source: String) throws {
        let migration = try Migration(fileName: "auth_0002_x.sql", source: source)
        #expect(throws: StorageError.self) { try migration.section(.up) }
    }

    @Test("an unknown placeholder and one that is not closed are refused", arguments: ["a {{uuid}}", "a {{text"])
    func placeholders(sql: String) throws {
        let section = MigrationSection(sql: sql, usesTransaction: true)
        for engine in SQLEngine.allCases {
            #expect(throws: StorageError.self) { try section.script(for: engine) }
        }
    }
}
