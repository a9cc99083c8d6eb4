// Every way to write a text or title leaves exactly its words in the index.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Search follows what is written")
struct SearchWritingTests {
    @Test("a title is found by its words of now, whoever gave it", arguments: TestEngine.allCases)
    func titles(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"Ebb"}"#)
            #expect(try await chat.found("ebb") == [id])
            _ = try await chat.send(.patch, "/v1/conversations/\(id)", #"{"pinned":true}"#)
            #expect(try await chat.found("ebb") == [id])
            _ = try await chat.send(.patch, "/v1/conversations/\(id)", #"{"title":"Flood"}"#)
            #expect(try await chat.found("ebb") == [])
            #expect(try await chat.found("flood") == [id])
            // The head is another parameter of the same statement.
            let one = try await chat.append(#"{"role":"user","content":"x"}"#, to: id)["id"]?.string ?? ""
            _ = try await chat.append(#"{"role":"user","content":"y"}"#, to: id)
            _ = try await chat.send(.patch, "/v1/conversations/\(id)", #"{"head_message_id":"\#(one)"}"#)
            #expect(try await chat.found("flood") == [id])
            _ = try await chat.send(.patch, "/v1/conversations/\(id)", #"{"title":null}"#)
            #expect(try await chat.found("flood") == [])
            let other = try await chat.conversation()
            let first = try await chat.append(#"{"role":"user","content":"neap"}"#, to: other)["id"]?.string ?? ""
            #expect(try await Set(chat.found("neap")) == [other, first])
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            #expect(try await chat.wronglyIndexed() == [])
        }
    }

    @Test("a message is found by its words of now, and not at all when it is deleted", arguments: TestEngine.allCases)
    func messages(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"-"}"#)
            for name in ["a", "b", "c"] {
                try await chat.append(#"{"role":"user","content":"tide \#(name)\#(name)","id":"\#(name)"}"#, to: id)
            }
            let path = "/v1/conversations/\(id)/messages"
            _ = try await chat.send(.patch, path + "/a", #"{"content":"moon"}"#)
            #expect(try await chat.found("tide") == ["c", "b"])
            #expect(try await chat.found("moon") == ["a"])
            // A patch without content keeps the words; content without text removes them.
            _ = try await chat.send(.patch, path + "/a", #"{"status":"error","tokens_in":3}"#)
            #expect(try await chat.found("moon") == ["a"])
            _ = try await chat.send(.patch, path + "/a", #"{"parts":[{"type":"image","url":"moon"}]}"#)
            #expect(try await chat.found("moon") == [])
            #expect(try await chat.send(.delete, path + "/b").status == 204)
            #expect(try await chat.found("tide") == ["c"])
            #expect(try await chat.send(.delete, path + "?after_seq=1").status == 200)
            #expect(try await chat.found("tide") == [])
            let answer = try await chat.send(.get, "/v1/search?q=tide").json
            #expect(answer["complete"]?.boolean == true)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            #expect(try await chat.wronglyIndexed() == [])
        }
    }

    @Test("what is in the trash is not found until it comes back", arguments: TestEngine.allCases)
    func trash(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"tide","messages":[{"role":"user","content":"tide"}]}"#)
            #expect(try await chat.found("tide").count == 2)
            _ = try await chat.send(.delete, "/v1/conversations/\(id)")
            #expect(try await chat.found("tide") == [])
            _ = try await chat.send(.post, "/v1/conversations/\(id)/restore")
            #expect(try await chat.found("tide").count == 2)
            _ = try await chat.send(.delete, "/v1/conversations/\(id)?permanent=true")
            #expect(try await chat.found("tide") == [])
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("a fork is found as the original is, by its own title if it has one", arguments: TestEngine.allCases)
    func forks(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let messages = #"[{"role":"user","content":"tide one"},{"role":"assistant","content":"tide two"}]"#
            let id = try await chat.conversation(#"{"title":"Ebb","messages":\#(messages)}"#)
            let same = try await chat.send(.post, "/v1/conversations/\(id)/fork").json["id"]?.string ?? ""
            let named = try await chat.send(.post, "/v1/conversations/\(id)/fork", #"{"title":"Flood"}"#).json
            #expect(try await Set(chat.found("ebb")) == [id, same])
            #expect(try await chat.found("flood") == [named["id"]?.string ?? ""])
            #expect(try await chat.found("tide").count == 6)
            let inFork = try await chat.search("tide", "&conversation_id=\(same)")
            #expect(inFork.count == 2)
            #expect(inFork.allSatisfy { $0["conversation_id"]?.string == same })
            let byRole = try await chat.search("tide", "&conversation_id=\(same)&role=assistant")
            #expect(byRole.count == 1)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            #expect(try await chat.wronglyIndexed() == [])
        }
    }

    @Test("what is imported is found at once, on the other engine too", arguments: TestEngine.allCases)
    func imports(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let items = (0..<5).map { #"{"role":"user","content":"tide \#($0)"}"# }.joined(separator: ",")
            let id = try await chat.conversation(#"{"title":"Ebb","messages":[\#(items)]}"#)
            try await chat.create(#"{"title":"no tide","slug":"s"}"#)
            let first = try await chat.messages(id)[0]["id"]?.string ?? ""
            _ = try await chat.send(.delete, "/v1/conversations/\(id)/messages/\(first)")
            let found = try await chat.found("tide").sorted()
            #expect(found.count == 5)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            for target in TestEngine.allCases {
                try await withChat(target) { other async throws in
                    #expect(try await other.take(lines, for: "owner").conversations == 2)
                    let answer = try await other.send(.get, "/v1/search?q=tide").json
                    #expect(answer["complete"]?.boolean == true)
                    #expect(try await other.found("tide").sorted() == found)
                    #expect(try await other.found("ebb") == [id])
                    #expect(try await ChatInvariant.broken(in: other.database).filter { $0.contains("search") } == [])
                    #expect(try await other.wronglyIndexed() == [])
                }
            }
        }
    }

    @Test("the backfill is no change, and changes no version", arguments: TestEngine.allCases)
    func backfill(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"Ebb","messages":[{"role":"user","content":"tide"}]}"#)
            let before = try await chat.send(.get, "/v1/conversations/\(id)?include=messages").text
            let received = try await chat.rows("changes")
            #expect(received > 0)
            for table in ["messages", "conversations"] {
                let forget = Statement("test.forget", .writes, "UPDATE \(table) SET search = NULL")
                _ = try await chat.database.run(forget.bind())
            }
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            #expect(try await SearchBackfill(database: chat.database).run() == 2)
            #expect(try await chat.rows("changes") == received)
            #expect(try await chat.send(.get, "/v1/conversations/\(id)?include=messages").text == before)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            #expect(try await chat.wronglyIndexed() == [])
        }
    }

    @Test("an erase and the next purge leave no word in FTS5's file")
    func erase() async throws {
        try await withChat(.sqlite) { chat in
            let id = try await chat.conversation(#"{"title":"qzxtitle"}"#)
            try await chat.append(#"{"role":"user","content":"qzxmarker and more"}"#, to: id)
            try await chat.create(#"{"title":"-","messages":[{"role":"user","content":"stays"}]}"#, as: "stranger")
            let holding = Statement(
                "test.holding",
                .reads,
                ["word": .text],
                """
                SELECT (SELECT COUNT(*) FROM search_messages_data WHERE instr(block, CAST(:word AS BLOB)) > 0)
                    + (SELECT COUNT(*) FROM search_titles_data WHERE instr(block, CAST(:word AS BLOB)) > 0)
                    + (SELECT COUNT(*) FROM search_message_rows) + (SELECT COUNT(*) FROM search_title_rows) AS n
                """
            )
            func held(_ word: String) async throws -> Int64 {
                try #require(try await chat.database.run(holding.bind(["word": word])).first).integer("n")
            }
            let (marker, title) = (try await held("zxmarker"), try await held("zxtitle"))
            #expect(marker > 4 && title > 4)
            #expect(try await chat.send(.delete, "/v1/chat/data").json["status"]?.string == "completed")
            #expect(try await SearchPurge(database: chat.database, clock: .system).run().passes == 2)
            // The rest is the stranger's.
            let (after, titleAfter) = (try await held("zxmarker"), try await held("zxtitle"))
            #expect(after == 2 && titleAfter == 2)
            #expect(try await chat.search("stays", as: "stranger").count == 1)
        }
    }

    @Test("words and a tag filter the list together, by cursor and by number", arguments: TestEngine.allCases)
    func wordsAndTag(engine: TestEngine) async throws {
        let time = TestClock()
        try await withChat(engine, clock: time.clock) { chat in
            for index in 0..<8 {
                time.advance(.seconds(1))
                let title = index.isMultiple(of: 2) ? "tide \(index)" : "other \(index)"
                try await chat.create(#"{"id":"c-\#(index)","title":"\#(title)"}"#)
                if index < 6 { _ = try await chat.send(.put, "/v1/conversations/c-\(index)/tags/Few") }
            }
            func ids(_ answer: Answer) throws -> [String] {
                try answer.json["data"]?.array?.compactMap { $0["id"]?.string } ?? []
            }
            let list = "/v1/conversations?q=tide&tag=few&limit=2"
            let pages = try await chat.pages(list)
            #expect(pages.map { $0.compactMap { $0["id"]?.string } } == [["c-4", "c-2"], ["c-0"]])
            let numbered = try await chat.send(.get, list + "&page=2&count=true")
            #expect(try ids(numbered) == ["c-0"])
            #expect(try numbered.json["total"]?.integer == 3)
            let all = try await chat.send(.get, "/v1/conversations?q=tide&page=1&count=true")
            #expect(try ids(all) == ["c-6", "c-4", "c-2", "c-0"])
            #expect(try all.json["total"]?.integer == 4)
            let next = try await chat.send(.get, list).json["next_cursor"]?.string ?? ""
            let last = try await chat.send(.get, list + "&after=\(next)").json["prev_cursor"]?.string ?? ""
            #expect(try ids(try await chat.send(.get, list + "&before=\(last)")) == ["c-4", "c-2"])
            #expect(try ids(try await chat.send(.get, "/v1/conversations?q=tide&tag=none")) == [])
            #expect(try await chat.send(.get, "/v1/conversations?q=tide&trash=true").status == 400)
        }
    }
}

extension Chat {
    func found(_ query: String, as user: String = "owner") async throws -> [String] {
        try await search(query, as: user).compactMap { $0["id"]?.string }
    }

    func search(_ query: String, _ parameters: String) async throws -> [JSONElement] {
        let answer = try await send(.get, "/v1/search?limit=100&q=\(escaped(query))\(parameters)")
        try #require(answer.status == 200, "\(query): \(answer.text)")
        return try #require(try answer.json["data"]?.array)
    }

    /// Rows whose words are not those of their text.
    func wronglyIndexed() async throws -> [String] {
        var wrong: [String] = []
        for (table, text) in [("messages", "content_text"), ("conversations", "title")] {
            let all = Statement("test.texts", .reads, "SELECT id, \(text) AS said FROM \(table)")
            // A trigger on PostgreSQL adds words without positions.
            func equal(_ words: String) -> String {
                "SELECT id FROM \(table) WHERE id = :id AND \(words) IS NOT DISTINCT FROM :search"
            }
            let check = Statement(
                "test.words",
                .reads,
                ["id": .text, "search": .words],
                postgres: equal("ts_filter(search, '{d}')"),
                sqlite: "SELECT id FROM \(table) WHERE id = :id AND search IS :search"
            )
            for row in try await database.run(all.bind()).rows {
                let id = try row.text("id")
                let words = SearchText.words(of: try row.optionalText("said"))
                if try await database.run(check.bind(["id": id, "search": words])).isEmpty { wrong.append(id) }
            }
        }
        return wrong
    }
}
