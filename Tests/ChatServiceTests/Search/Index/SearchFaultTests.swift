// A fault in SQLite's full-text index refuses no write, is recorded, and is repaired by a rebuild from the rows.
import HTTPTypes
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@testable import ChatService

@Suite("A damaged search index")
struct SearchFaultTests {
    @Test("2,000 levels stop no write: the index is taken out of the way, and rebuilt while rows are written")
    func levels() async throws {
        try await withChat(.sqlite) { chat async throws in
            let id = try await chat.conversation(#"{"title":"ebb","messages":[{"role":"user","content":"tide one"}]}"#)
            #expect(try await IndexDamage.addLevels(to: "search_messages", in: chat.database) > 500)
            try await chat.append(#"{"role":"user","content":"tide two","id":"two"}"#, to: id)
            try await chat.append(#"{"role":"user","content":"tide three","id":"three"}"#, to: id)
            #expect(try await chat.send(.delete, "/v1/conversations/\(id)/messages/two").status == 204)
            #expect(try await chat.send(.patch, "/v1/conversations/\(id)", #"{"title":"flood"}"#).status == 200)
            for path in [
                "/v1/search?q=tide", "/v1/conversations?q=flood", "/v1/conversations?q=flood&page=1&count=true",
            ] {
                let answer = try await chat.send(.get, path)
                #expect(answer.status == 503 && answer.code == "search_rebuilding", "\(path): \(answer.text)")
                #expect(answer.headers[.retryAfter] == "5")
            }
            #expect(try await chat.send(.get, "/v1/conversations").status == 200)
            let report = try await SearchRebuild(database: chat.database).run()
            #expect(report.isFinished && report.rows == 3)
            #expect(try await chat.search("tide").compactMap { $0["id"]?.string }.first == "three")
            #expect(try await chat.search("tide").count == 2)
            #expect(try await chat.found("flood") == [id])
            try await chat.expectWholeIndex()
        }
    }

    @Test("a fault that a search meets begins the rebuild, whichever index it is in")
    func search() async throws {
        for table in ["search_messages", "search_titles"] {
            try await withChat(.sqlite) { chat async throws in
                let id = try await chat.conversation(#"{"title":"tide"}"#)
                try await IndexDamage.breakStructure(of: table, in: chat.database)
                #expect(try await chat.send(.get, "/v1/search?q=tide").code == "search_rebuilding")
                #expect(try await SearchIndex.status(of: .messages, in: chat.database).state == .draining)
                #expect(try await SearchRebuild(database: chat.database).run().rows == 1)
                #expect(try await chat.found("tide") == [id])
                try await chat.expectWholeIndex()
            }
        }
    }

    @Test("writers at once are all served, and one rebuild begins")
    func crowd() async throws {
        try await withChat(.sqlite) { chat async throws in
            let id = try await chat.conversation()
            try await IndexDamage.breakStructure(of: "search_messages", in: chat.database)
            let answers = try await inParallel(40) { index in
                try await chat.send(
                    .post,
                    "/v1/conversations/\(id)/messages",
                    #"{"role":"user","content":"tide \#(index)"}"#
                ).status
            }
            #expect(answers.allSatisfy { $0 == 201 }, "\(answers)")
            try await chat.expectSound(id, count: 40)
            #expect(try await SearchRebuild(database: chat.database).run().rows == 41)
            #expect(try await chat.search("tide", "&role=user").count == 40)
            try await chat.expectWholeIndex()
        }
    }

    @Test("rows are written at every point of a rebuild, which may stop anywhere, and each has one entry in the end")
    func interrupted() async throws {
        try await withChat(.sqlite) { chat async throws in
            let id = try await chat.conversation(#"{"id":"c","title":"tide"}"#)
            for batch in 0..<8 {
                let messages = (0..<50).map { #"{"role":"user","content":"tide \#($0)","id":"m-\#(batch)-\#($0)"}"# }
                try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: id)
            }
            try await SearchIndex.beginRebuild(in: chat.database, because: "a test")
            var states: Set<SearchIndex.State> = []
            for number in 0..<50 {
                states.insert(try await SearchIndex.status(of: .messages, in: chat.database).state)
                // Before and behind the rebuild's position, in rows with and without an entry.
                for (name, text) in [("a-\(number)", "new"), ("z-\(number)", "new")] {
                    try await chat.append(#"{"role":"user","content":"\#(text) tide","id":"\#(name)"}"#, to: id)
                }
                let path = "/v1/conversations/c/messages/m-\(number % 8)-\(number)"
                if number.isMultiple(of: 2) {
                    #expect(try await chat.send(.patch, path, #"{"content":"changed tide"}"#).status == 200)
                } else {
                    #expect(try await chat.send(.delete, path).status == 204)
                }
                let steps = Countdown(1)
                let report = try await SearchRebuild(database: chat.database).run { steps.tick() }
                if report.isFinished { break }
            }
            #expect(states.isSuperset(of: [.draining, .filling]))
            _ = try await SearchRebuild(database: chat.database).run()
            #expect(try await SearchIndex.status(of: .messages, in: chat.database).state == .ready)
            try await chat.expectWholeIndex()
            #expect(try await chat.wronglyIndexed() == [])
        }
    }

    @Test("two at one rebuild make one entry for each row")
    func twice() async throws {
        try await withChat(.sqlite) { chat async throws in
            let id = try await chat.conversation(#"{"title":"tide"}"#)
            for _ in 0..<6 {
                let messages = (0..<50).map { #"{"role":"user","content":"tide \#($0)"}"# }
                try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: id)
            }
            try await SearchIndex.beginRebuild(in: chat.database, because: "a test")
            // The one that loses the race for the triggers fails, and then finds the other's work.
            _ = try await inParallel(3) { _ in try? await SearchRebuild(database: chat.database).run() }
            #expect(try await SearchRebuild(database: chat.database).run().isFinished)
            #expect(try await chat.rows("search_message_rows") == 300)
            try await chat.expectWholeIndex()
        }
    }

    @Test("a fault while the index fills begins it again, and writes go on")
    func again() async throws {
        try await withChat(.sqlite) { chat async throws in
            let id = try await chat.conversation(#"{"title":"tide"}"#)
            for _ in 0..<2 {
                let messages = (0..<100).map { #"{"role":"user","content":"tide \#($0)"}"# }
                try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: id)
            }
            try await SearchIndex.beginRebuild(in: chat.database, because: "a test")
            while try await SearchIndex.status(of: .messages, in: chat.database).filledTo.isEmpty {
                let steps = Countdown(1)
                _ = try await SearchRebuild(database: chat.database).run { steps.tick() }
            }
            try await IndexDamage.breakStructure(of: "search_messages", in: chat.database)
            try await chat.append(#"{"role":"user","content":"tide"}"#, to: id)
            #expect(try await SearchIndex.status(of: .messages, in: chat.database).state == .draining)
            _ = try await SearchRebuild(database: chat.database).run()
            #expect(try await chat.pages("/v1/search?q=tide&limit=100&role=user").flatMap { $0 }.count == 201)
            try await chat.expectWholeIndex()
        }
    }

    @Test("a node that starts on a damaged index rebuilds it, with nothing asked of it")
    func start() async throws {
        try await withDatabase(.sqlite, service: "chat") { database async throws in
            try await withChat(on: database) { chat async throws in
                try await chat.create(#"{"title":"tide","messages":[{"role":"user","content":"tide"}]}"#)
                try await IndexDamage.addLevels(to: "search_messages", in: database)
                try await IndexDamage.breakStructure(of: "search_titles", in: database)
            }
            try await withChat(on: database, overSocket: true) { chat async throws in
                try await eventually("the search answers") {
                    try await chat.send(.get, "/v1/search?q=tide").status == 200
                }
                #expect(try await chat.search("tide").count == 2)
                try await chat.expectWholeIndex()
            }
        }
    }

    @Test("a read that met a rebuild which has ended is made again; only a second fault is damage", arguments: [1, 2])
    func readAgain(faults: Int) async throws {
        try await withTestDatabase(.sqlite, service: "chat") { test async throws in
            let guarded = SearchFaultGuard(base: DamagedReads(test.database, faults), logger: .quiet)
            let read = Statement("tests.read", .reads, "SELECT 1 AS one").bind()
            if faults == 1 {
                #expect(try await guarded.run(read).first?.integer("one") == 1)
            } else {
                await #expect(throws: StorageError.self) { try await guarded.run(read) }
            }
            let state = try await SearchIndex.status(of: .messages, in: test.database).state
            #expect(state == (faults == 1 ? .ready : .draining))
        }
    }

    @Test("the program before finds its triggers and its rows again, whatever state it comes back to")
    func takenBack() async throws {
        for state in SearchIndex.State.allCases {
            try await withTestDatabase(.sqlite, service: "chat") { test async throws in
                let migrator = try Migrator.embedded("chat")
                let database = test.database
                try await withChat(on: database) { chat async throws in
                    let messages = (0..<100).map { #"{"role":"user","content":"tide \#($0)"}"# }
                    try await chat.create(#"{"title":"tide","messages":[\#(messages.joined(separator: ","))]}"#)
                    if state != .ready { try await SearchIndex.beginRebuild(in: database, because: "a test") }
                    while state == .filling,
                        try await SearchIndex.status(of: .messages, in: database).filledTo.isEmpty
                    {
                        let steps = Countdown(1)
                        _ = try await SearchRebuild(database: database).run { steps.tick() }
                    }
                }
                let steps = try await migrator.status(database).count { $0.number >= 9 }
                #expect(try await migrator.down(database, steps: steps).last == "chat_0009_search_index")
                #expect(try await SearchBackfill(database: database).run() == (state == .ready ? 0 : 101))
                // That schema has no skips and no markers.
                let invariants = ChatInvariant.all.filter { !$0.name.contains("skip") && !$0.name.contains("marker") }
                #expect(try await ChatInvariant.broken(in: database, invariants) == [])
                for table in ["search_messages", "search_titles"] { try await IndexDamage.check(table, in: database) }
                try await migrator.up(database)
                try await withChat(on: database) { chat async throws in
                    #expect(try await chat.pages("/v1/search?q=tide&limit=100").flatMap { $0 }.count == 101)
                }
            }
        }
    }
}

/// Fails some times as a read of an index that is being emptied does.
private final class DamagedReads: DatabaseDecorator {
    let base: any SQLDatabase
    private let faults: Mutex<Int>

    init(_ base: any SQLDatabase, _ faults: Int) {
        self.base = base
        self.faults = Mutex(faults)
    }

    func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        let isFaulty = faults.withLock { faults in
            guard faults > 0, transaction.statements.contains(where: { $0.statement.name == "tests.read" }) else {
                return false
            }
            faults -= 1
            return true
        }
        if isFaulty { throw .damaged(reason: "the test says so", inVirtualTable: true) }
        return try await base.run(transaction, priority: priority)
    }
}

extension Chat {
    /// The index has every row and nothing else, and FTS5's check passes.
    func expectWholeIndex() async throws {
        #expect(try await ChatInvariant.broken(in: database) == [])
        for table in ["search_messages", "search_titles"] { try await IndexDamage.check(table, in: database) }
    }
}
