// Deleted rows' words leave SQLite's file in passes: rare, in small steps, and without leftovers.
import Foundation
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

    /// FTS5 drops a deletion with its entry when it merges both, or when it merges into the oldest segment. Of several
    /// deletions and merges in parts one can be left alone. These are fourteen steps that were found to leave one.
    @Test("an index of one segment may hold a word that went, and is purged too")
    func oneSegment() async throws {
        try await withChat(.sqlite) { chat async throws in
            func run(_ columns: String, _ values: String) async throws {
                let sql = "INSERT INTO search_messages (\(columns)) VALUES (\(values))"
                _ = try await chat.database.run(Statement("test.fts5", .writes, [:], sql).bind())
            }
            func set(_ name: String, _ value: Int) async throws {
                try await run("search_messages, rank", "'\(name)', \(value)")
            }
            func add(_ row: Int, _ words: String) async throws { try await run("rowid, words", "\(row), '\(words)'") }
            func delete(_ row: Int, _ words: String) async throws {
                try await run("search_messages, rowid, words", "'delete', \(row), '\(words)'")
            }
            // Pages so small that a few words are many.
            for (name, value) in [("pgsz", 64), ("usermerge", 2), ("automerge", 2)] { try await set(name, value) }
            try await add(2, "t2x a24 b26 c224")
            try await add(4, "t4x a14 b0 c32")
            try await set("merge", 1)
            try await add(5, "t5x a20 b29 c44")
            try await set("merge", -1)
            try await add(8, "tzxword a13 b5 c5")
            try await delete(4, "t4x a14 b0 c32")
            try await delete(2, "t2x a24 b26 c224")
            try await delete(5, "t5x a20 b29 c44")
            try await delete(8, "tzxword a13 b5 c5")
            try await add(12, "t12x a3 b25 c220")
            try await set("merge", 1)
            try await delete(12, "t12x a3 b25 c220")
            try await set("merge", 5)
            let status = try await SearchIndex.status(of: .messages, in: chat.database)
            try #require(FTS5Structure(status.structure)?.segments == 1)
            try #require(try await chat.pagesHolding("zxword") == 1)
            // All of it is one page above empty levels, where no merge drops anything.
            #expect(try await SearchPurge(database: chat.database, clock: .system).run() == .init())
            _ = try await SearchRebuild(database: chat.database).run()
            #expect(try await chat.pagesHolding("zxword") == 0)
        }
    }

    /// A segment that is larger than an old one moves it up, to one level with all others and above empty ones.
    @Test("a word is purged from a segment that FTS5 has moved up", arguments: [20, 40, 80])
    func movedUp(count: Int) async throws {
        try await withChat(.sqlite) { chat async throws in
            func run(_ columns: String, _ values: String) async throws {
                let sql = "INSERT INTO search_messages (\(columns)) VALUES (\(values))"
                _ = try await chat.database.run(Statement("test.fts5", .writes, [:], sql).bind())
            }
            func words(_ letter: String, _ count: Int) -> String {
                (0..<count).map { "\(letter)\($0 * 7919 % 1000)" }.joined(separator: " ")
            }
            func purge() async throws {
                try await SearchPurge(database: chat.database, clock: .system).run(isForced: true)
            }
            try await run("search_messages, rank", "'pgsz', 64")
            let first = "qzxword \(words("a", 20))"
            try await run("rowid, words", "1, '\(first)'")
            try await purge()
            try await run("rowid, words", "2, '\(words("b", 5))'")
            try await purge()
            try await run("search_messages, rowid, words", "'delete', 1, '\(first)'")
            try await run("rowid, words", "3, '\(words("c", count))'")
            try #require(try await chat.pagesHolding("zxword") > 0)
            try await purge()
            #expect(try await chat.pagesHolding("zxword") == 0)
        }
    }

    @Test("words of deleted and of edited messages leave the file, its free pages and its log with the next pass")
    func file() async throws {
        let time = TestClock()
        try await withChat(.sqlite, clock: time.clock) { chat async throws in
            let id = try await chat.conversation(#"{"title":"-"}"#)
            // Pages of words that stay, around those that go.
            for batch in 0..<10 {
                let items = (0..<50).map { #"{"role":"user","content":"stays \#(batch) \#($0) and more of it"}"# }
                try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            }
            let path = "/v1/conversations/\(id)/messages"
            for number in 0..<20 {
                let word = "qzx\(number)marker"
                let message = #"{"id":"m-\#(number)","role":"user","content":"\#(word) \#(word)s"}"#
                try await chat.append(message, to: id)
                let answer =
                    number.isMultiple(of: 2)
                    ? try await chat.send(.delete, "\(path)/m-\(number)")
                    : try await chat.send(.patch, "\(path)/m-\(number)", #"{"content":"another"}"#)
                try #require((200..<300).contains(answer.status), "\(answer.text)")
            }
            #expect(try await chat.bytesOnDisk(holding: "marker") > 0)
            time.advance(.seconds(6 * 3600))
            let purge = SearchPurge(database: chat.database, clock: time.clock)
            #expect(try await purge.isDue())
            #expect(try await purge.run() == .init(passes: 2))
            #expect(try await chat.bytesOnDisk(holding: "marker") == 0)
            #expect(try await chat.bytesOnDisk(holding: "stays") > 0)
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

    @Test("an index whose words are nearly all gone is rebuilt in place of a pass, and one of few long entries is not")
    func nearlyEmpty() async throws {
        let time = TestClock()
        try await withChat(.sqlite, clock: time.clock) { chat async throws in
            let id = try await chat.conversation(#"{"title":"-"}"#)
            for message in 0..<60 {
                let words = (0..<3000).map { "w\(($0 * 7919 + message * 104_729) % 500_000)" }
                try await chat.append(#"{"role":"user","content":"\#(words.joined(separator: " "))"}"#, to: id)
            }
            func state() async throws -> SearchIndex.State {
                try await SearchIndex.status(of: .messages, in: chat.database).state
            }
            let purge = SearchPurge(database: chat.database, clock: time.clock)
            let pages = FTS5Structure(try await SearchIndex.status(of: .messages, in: chat.database).structure)?.pages
            #expect(try #require(pages) > 150)
            #expect(try await purge.run().unfinished == 0)
            #expect(try await state() == .ready)
            // Half of them are gone: still a pass.
            for (last, expected) in [(30, SearchIndex.State.ready), (0, .draining)] {
                let truncated = try await chat.send(.delete, "/v1/conversations/\(id)/messages?after_seq=\(last)")
                try #require(truncated.status == 200, "\(truncated.text)")
                time.advance(.seconds(6 * 3600))
                try await purge.run()
                #expect(try await state() == expected)
            }
            _ = try await SearchRebuild(database: chat.database).run()
            #expect(try await state() == .ready)
            try await chat.expectWholeIndex()
        }
    }

    @Test("a pass goes in small steps, stops anywhere and is carried on")
    func steps() async throws {
        try await withChat(.sqlite, counting: true) { chat async throws in
            let database = try #require(chat.database as? CountingDatabase)
            let id = try await chat.conversation(#"{"title":"-"}"#)
            try await chat.appendManyWords(to: id)
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
