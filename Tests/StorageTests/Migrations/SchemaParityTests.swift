import Storage
import TestSupport
import Testing

@Suite("both engines have the same schema", .needsPostgres)
struct SchemaParityTests {
    @Test("tables, columns, nullability, defaults, indexes, references and checks agree", arguments: ["auth", "chat"])
    func parity(service: String) async throws {
        let sqlite = try await withDatabase(.sqlite, service: service) { try await SchemaCatalog.read($0) }
        let postgres = try await withDatabase(.postgres, service: service) { try await SchemaCatalog.read($0) }
        #expect(sqlite.tables.keys.sorted() == postgres.tables.keys.sorted())
        #expect(sqlite.tables.count > 3)
        for (name, table) in sqlite.tables {
            let other = try #require(postgres.tables[name])
            #expect(table.columns == other.columns, "columns of \(name)")
            #expect(table.indexes == other.indexes, "indexes of \(name)")
            #expect(table.foreignKeys == other.foreignKeys, "references of \(name)")
            #expect(table.checks == other.checks, "checks of \(name)")
        }
    }

    @Test("a schema that differs is noticed")
    func difference() async throws {
        try await withDatabase(.postgres, service: "chat") { database async throws in
            let before = try await SchemaCatalog.read(database)
            try await database.withMigrationLock {
                try $0.execute(script: "ALTER TABLE messages ALTER COLUMN role DROP NOT NULL")
            }
            #expect(try await SchemaCatalog.read(database) != before)
        }
    }
}
