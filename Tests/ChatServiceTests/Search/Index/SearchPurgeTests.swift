// Deleted rows' words leave SQLite's file in passes: rare, in small steps, and without leftovers.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Purging the search index")
struct SearchPassTests {
    @Test("an erasure begins no merge, and forty of them leave the index's structure as flat as it was")
    func erasures() async throws {
        try await withChat(.sqlite, counting: true) { chat async throws in
            let database = try #require(chat.database as? CountingDatabase)
            try await chat.create(#"{"messages":[{"role":"user","content":"stays"}]}"#, as: "stranger")
            for number in 0..<40 {
                let user = "user-\(number)"
                try await chat.create(#"{"title":"t","messages":[{"role":"user","content":"goes"}]}"#, as: user)
                database.forget()
                let erased = try await chat.send(.delete, "/v1/chat/data", as: user)
                #expect(try erased.json["status"]?.string == "completed")
                #expect(
                    !database.transactions.joined().contains { $0.hasPrefix("search.") },
                    "\(database.transactions)"
                )
            }
            for table in SearchTable.allCases {
                let status = try await SearchIndex.status(of: table, in: chat.database)
                #expect(try #require(FTS5Structure(status.structure)).levels.count < 8)
            }
        }
    }

    @Test("between two passes are six hours, however much is deleted, and an index without a change has none")
    func interval() async throws {
        let time = TestClock()
        try await withChat(.sqlite, clock: time.clock) { chat async throws in
            let purge = SearchPurge(database: chat.database, clock: time.clock)
            func delete(_ word: String) async throws {
                let id = try await chat.conversation(
                    #"{"title":"-","messages":[{"role":"user","content":"\#(word)"}]}"#
                )
                _ = try await chat.send(.delete, "/v1/conversations/\(id)?permanent=true")
                #expect(try await chat.pagesHolding(word.dropFirst()) > 0)
            }
            #expect(try await !purge.isDue())
            try await delete("qzxfirst")
            #expect(try await purge.run() == .init(passes: 2))
            #expect(try await chat.pagesHolding("zxfirst") == 0)
            #expect(try await !purge.isDue())
            try await delete("qzxsecond")
            time.advance(.seconds(6 * 3600 - 1))
            #expect(try await !purge.isDue())
            #expect(try await purge.run() == .init())
            #expect(try await chat.pagesHolding("zxsecond") > 0)
            time.advance(.seconds(1))
            #expect(try await purge.isDue())
            #expect(try await purge.run() == .init(passes: 2))
            #expect(try await chat.pagesHolding("zxsecond") == 0)
            // Nothing has changed since, so nothing is due.
            time.advance(.seconds(86_400))
            #expect(try await !purge.isDue())
            #expect(try await purge.run(isForced: true) == .init())
            try await chat.expectWholeIndex()
        }
    }

    @Test("near the limit of levels the index is rebuilt instead")
    func levels() async throws {
        try await withChat(.sqlite) { chat async throws in
            let id = try await chat.conversation(#"{"title":"tide"}"#)
            // As after 500 passes: levels without a segment after the first.
            let raised = "x'00000000' || x'8770' || substr(block, 6) || zeroblob(2014)"
            try await IndexDamage.setStructure(of: "search_titles", to: raised, in: chat.database)
            let status = try await SearchIndex.status(of: .titles, in: chat.database)
            #expect(FTS5Structure(status.structure)?.levels.count == 1008)
            #expect(try await chat.found("tide") == [id])
            try await SearchPurge(database: chat.database, clock: .system).run()
            #expect(try await SearchIndex.status(of: .titles, in: chat.database).state == .draining)
            #expect(try await SearchIndex.status(of: .messages, in: chat.database).state == .ready)
            #expect(try await SearchRebuild(database: chat.database).run().rows == 1)
            #expect(try await chat.found("tide") == [id])
            try await chat.expectWholeIndex()
        }
    }

    @Test("a pass goes in small steps, stops anywhere and is carried on")
    func steps() async throws {
        try await withChat(.sqlite, counting: true) { chat async throws in
            let database = try #require(chat.database as? CountingDatabase)
            let id = try await chat.conversation(#"{"title":"-"}"#)
            for batch in 0..<30 {
                let messages = (0..<50).map { number in
                    let words = (0..<20).map { "w\(($0 * 7919 + number * 104_729 + batch * 1301) % 50_000)" }
                    return #"{"role":"user","content":"\#(words.joined(separator: " "))"}"#
                }
                try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: id)
            }
            try await chat.append(#"{"role":"user","content":"qzxword","id":"m"}"#, to: id)
            _ = try await chat.send(.delete, "/v1/conversations/\(id)/messages/m")
            database.forget()
            var report = SearchPurge.Report()
            var runs = 0
            repeat {
                let steps = Countdown(2)
                report = try await SearchPurge(database: database, clock: .system).run { steps.tick() }
                runs += 1
            } while report.unfinished > 0 && runs < 200
            #expect(runs > 3)
            let merges = database.transactions.filter { $0 == ["search.merge_messages"] }
            #expect(merges.count > 4, "\(merges.count)")
            #expect(try await chat.pagesHolding("zxword") == 0)
            try await chat.expectWholeIndex()
        }
    }

    @Test("a pass is over only when the log holds nothing of what went")
    func log() async throws {
        try await withChat(.sqlite, counting: true) { chat async throws in
            let database = try #require(chat.database as? CountingDatabase)
            try await chat.create(#"{"messages":[{"role":"user","content":"tide"}]}"#)
            let purge = SearchPurge(database: database, clock: .system)
            database.beforeReclaiming { false }
            #expect(try await purge.run() == .init(passes: 0, unfinished: 2))
            #expect(try await purge.isDue())
            database.beforeReclaiming { true }
            #expect(try await purge.run() == .init(passes: 2))
            #expect(try await !purge.isDue())
        }
    }
}

extension Chat {
    fileprivate func pagesHolding(_ text: some StringProtocol) async throws -> Int64 {
        let statement = Statement(
            "test.holding",
            .reads,
            ["word": .text],
            """
            SELECT (SELECT COUNT(*) FROM search_messages_data WHERE instr(block, CAST(:word AS BLOB)) > 0)
                + (SELECT COUNT(*) FROM search_titles_data WHERE instr(block, CAST(:word AS BLOB)) > 0) AS n
            """
        )
        return try #require(try await database.run(statement.bind(["word": String(text)])).first).integer("n")
    }
}
