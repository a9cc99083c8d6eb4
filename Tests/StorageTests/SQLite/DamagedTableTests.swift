// What a caller gets when SQLite finds a virtual table damaged, and when.
import Storage
import TestSupport
import Testing

@Suite("A damaged virtual table")
struct DamagedTableTests {
    private static let insert = Statement(
        "tests.insert",
        .writes,
        ["id": .integer],
        "INSERT INTO words (rowid, text) VALUES (:id, 'a word')"
    )
    private static let note = Statement("tests.note", .writes, ["id": .integer], "INSERT INTO notes (id) VALUES (:id)")
    private static let count = Statement("tests.count", .reads, [:], "SELECT COUNT(*) AS n FROM notes")

    @Test("a write that fails when its commit begins is not committed, alone and among others")
    func commit() async throws {
        try await withEmptyDatabase(.sqlite) { test async throws in
            let database = test.database
            try await database.withMigrationLock { connection in
                try connection.execute(
                    script: """
                        CREATE VIRTUAL TABLE words USING fts5(text, content = '', columnsize = 0);
                        CREATE TABLE notes (id INTEGER PRIMARY KEY) STRICT;
                        """
                )
            }
            _ = try await database.run(Self.insert.bind(["id": 1]))
            try await IndexDamage.breakStructure(of: "words", in: database)
            // FTS5 writes its memory at the commit, and finds the damage there.
            let transaction = Transaction([Self.note.bind(["id": 1]), Self.insert.bind(["id": 2])])
            for _ in 0..<2 {
                let error = await #expect(throws: StorageError.self) { _ = try await database.run(transaction) }
                guard case .damaged(let reason, inVirtualTable: true) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(reason.hasPrefix("SQLite 267"))
            }
            #expect(try await database.run(Self.count.bind()).first?.int("n") == 0)
            // Neighbours in one commit are not affected.
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for id in 10..<40 {
                    let insert = id.isMultiple(of: 10) ? [Self.insert.bind(["id": id])] : []
                    let transaction = Transaction([Self.note.bind(["id": id])] + insert)
                    group.addTask { (try? await database.run(transaction)) != nil }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(outcomes == 27)
            #expect(try await database.run(Self.count.bind()).first?.int("n") == 27)
        }
    }
}
