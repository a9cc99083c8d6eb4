import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("FTS5's structure record")
struct FTS5StructureTests {
    @Test("an empty index has no level, one row has one segment of one page")
    func small() throws {
        let empty = try #require(FTS5Structure([0, 0, 0, 0, 0, 0, 0]))
        #expect(empty.levels.isEmpty && empty.segments == 0 && empty.pages == 0 && !empty.isMergingIntoOldest)
        let one = try #require(FTS5Structure([0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1]))
        #expect(one.levels == [FTS5Structure.Level(merging: 0, segments: [1])])
        #expect(one.segments == 1 && one.pages == 1)
    }

    @Test("levels, segments and a merge under way are read, in numbers of any length")
    func large() throws {
        // A merge reads two segments of level 0 and writes to level 1.
        let record: [UInt8] = [
            0, 0, 0, 3, 3, 3, 0x81, 0x00, 2, 2, 5, 1, 0x82, 0x03, 6, 0x81, 0x00, 0x81, 0x7F, 0, 1, 7, 1, 9, 0, 0,
        ]
        let structure = try #require(FTS5Structure(record))
        #expect(
            structure.levels == [
                FTS5Structure.Level(merging: 2, segments: [259, 128]), FTS5Structure.Level(merging: 0, segments: [9]),
                FTS5Structure.Level(merging: 0, segments: []),
            ]
        )
        #expect(structure.isMergingIntoOldest)
        #expect(structure.segments == 3 && structure.pages == 396)
    }

    @Test("a record that is cut off, of the other form or full of nonsense is none")
    func refused() {
        let record: [UInt8] = [0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1]
        for length in 0..<record.count { #expect(FTS5Structure(Array(record.prefix(length))) == nil) }
        #expect(FTS5Structure([0, 0, 0, 0, 0xFF, 0, 0, 1, 0, 0, 0, 0]) == nil)
        #expect(FTS5Structure([UInt8](repeating: 0xFF, count: 4096)) == nil)
        #expect(FTS5Structure([0, 0, 0, 0, 1, 2, 1, 0, 1, 1, 1, 1]) == nil)
    }

    @Test("what SQLite writes is read, and agrees with what the index holds")
    func real() async throws {
        try await withChat(.sqlite) { chat in
            for index in 0..<30 { try await chat.create(#"{"messages":[{"role":"user","content":"tide \#(index)"}]}"#) }
            let status = try await SearchIndex.status(of: .messages, in: chat.database)
            let structure = try #require(FTS5Structure(status.structure))
            #expect(structure.segments > 0)
            let pages = Statement(
                "test.pages",
                .reads,
                "SELECT COUNT(*) AS n FROM search_messages_data WHERE id > 10"
            )
            #expect(try await chat.database.run(pages.bind()).first?.int("n") == structure.pages)
        }
    }
}
