import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Search")
struct SearchTests {
    @Test("messages and titles are found, newest first, page by page", arguments: TestEngine.allCases)
    func pages(engine: TestEngine) async throws {
        let time = TestClock()
        try await withChat(engine, clock: time.clock) { chat in
            let id = try await chat.conversation(#"{"title":"All about tides"}"#)
            for number in 1...25 {
                // Seconds, hours, months: every width of window.
                time.advance(.seconds(number * number * number * 50))
                try await chat.append(
                    #"{"role":"user","content":"tides number \#(number)","id":"m-\#(number)"}"#,
                    to: id
                )
            }
            let expected = (1...25).reversed().map { "m-\($0)" } + [id]
            for limit in [1, 4, 7, 25, 26, 100] {
                let pages = try await chat.pages("/v1/search?q=TIDES&limit=\(limit)")
                #expect(pages.flatMap { $0 }.compactMap { $0["id"]?.string } == expected, "\(limit)")
                #expect(pages.dropLast().allSatisfy { $0.count == limit })
            }
            let one = try #require(try await chat.search("\"number 7\"").first)
            #expect(one["type"]?.string == "message")
            #expect(one["conversation_id"]?.string == id)
            #expect(one["title"]?.string == "All about tides")
            #expect(one["seq"]?.integer == 7)
            let pieces = try #require(one["snippet"]?.array)
            #expect(pieces.compactMap { $0["text"]?.string }.joined() == "tides number 7")
            #expect(pieces.compactMap { $0["match"]?.boolean } == [false, true])
        }
    }

    @Test("messages of one microsecond are all found, whatever the page", arguments: TestEngine.allCases)
    func ties(engine: TestEngine) async throws {
        let time = TestClock()
        try await withChat(engine, clock: time.clock) { chat in
            var ids: Set<String> = []
            for number in 1...3 {
                let messages = (1...7).map { #"{"role":"user","content":"same","id":"m-\#(number)-\#($0)"}"# }
                let id = try await chat.conversation(
                    #"{"title":"same","messages":[\#(messages.joined(separator: ","))]}"#
                )
                ids.formUnion((1...7).map { "m-\(number)-\($0)" } + [id])
            }
            for limit in [1, 2, 5, 23, 24] {
                let found = try await chat.pages("/v1/search?q=same&limit=\(limit)").flatMap { $0 }
                #expect(found.count == ids.count, "\(limit)")
                #expect(Set(found.compactMap { $0["id"]?.string }) == ids, "\(limit)")
            }
        }
    }

    @Test("one syntax: words, phrases, without, beginnings", arguments: TestEngine.allCases)
    func syntax(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"-"}"#)
            for (name, text) in [
                ("moon", "Mostly the moon, says the well-known book"), ("sun", "The sun and the moon together"),
                ("tokyo", "東京都と京都"), ("accent", "Crème brûlée à la carte"), ("url", "see https://example.com/moon/1"),
            ] {
                try await chat.append(#"{"role":"user","content":"\#(text)","id":"\#(name)"}"#, to: id)
            }
            let table: [(String, Set<String>)] = [
                ("moon", ["moon", "sun", "url"]), ("MOON the", ["moon", "sun"]), ("\"the moon\"", ["moon", "sun"]),
                ("\"moon the\"", []), ("moon -sun", ["moon", "url"]), ("moon -\"the moon\"", ["url"]),
                ("-sun moon -url", ["moon", "url"]), ("mo*", ["moon", "sun", "url"]), ("m*", []),
                ("\"the mo\"*", ["moon", "sun"]), ("well-known", ["moon"]), ("known-well", []), ("creme", ["accent"]),
                ("BRULEE", ["accent"]), ("brûl*", ["accent"]), ("東京", ["tokyo"]), ("京都", ["tokyo"]), ("都と", ["tokyo"]),
                ("東都", []), ("都", ["tokyo"]), ("東京都と京都", ["tokyo"]), ("example.com/moon", ["url"]),
                ("'moon'", ["moon", "sun", "url"]), ("\"moon", ["moon", "sun", "url"]),
                ("moon \"\"", ["moon", "sun", "url"]),
                ("moon - sun", ["sun"]),
            ]
            for (query, expected) in table {
                let found = try await chat.search(query).compactMap { $0["id"]?.string }
                #expect(Set(found) == expected, "\(query)")
            }
        }
    }

    @Test("S11: no query reaches the engine's own syntax", arguments: TestEngine.allCases)
    func injection(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"title":"-","messages":[{"role":"user","content":"my own words","id":"mine"}]}"#)
            try await chat.create(#"{"messages":[{"role":"user","content":"secret words"}]}"#, as: "stranger")
            let pieces = [
                "words", "OR", "AND", "NOT", "NEAR(words own)", "\"", "'", "*", "-", "(", ")", "^words", "words:own",
                "{words}",
                "search_messages:words", "+", "<->", "<2>", "&", "|", "!", ":*", ":A", "\\", "'§o'", "§ruser", "§",
                ";--",
                "%", "_", "$1", "\u{7F}", "東*", "🚀", "words*", "\"words\" *", "a\u{301}\u{301}", "\u{202E}", "*words",
                "--words",
            ]
            var queries = pieces.flatMap { piece in
                [piece, "words \(piece)", "\(piece) words", "\"\(piece) words", "-\(piece) words"]
            }
            queries += ["words OR secret", "secret*", "words NOT own", "§o* words", "* words", "words' | 'secret"]
            for query in queries {
                let answer = try await chat.send(.get, "/v1/search?q=\(escaped(query))")
                #expect([200, 422].contains(answer.status), "\(query): \(answer.text)")
                if answer.status == 422 { #expect(answer.code == "query_unsearchable") }
                #expect(!answer.text.contains("secret words"), "\(query)")
            }
            #expect(try await chat.search("§ruser words").isEmpty)
            #expect(try await chat.search("words").compactMap { $0["id"]?.string } == ["mine"])
            for (query, status, complaint) in [
                ("", 422, nil), ("-words", 422, nil), ("... !", 422, nil),
                (String(repeating: "w ", count: 33), 422, nil),
                (String(repeating: "w", count: 1025), 400, "q too_long"),
                ("words&sort=created_at", 400, "sort invalid"), ("words&role=owner", 400, "role invalid"),
                ("words&from=yesterday", 400, "from invalid"),
                ("words&conversation_id=%27", 400, "conversation_id invalid"),
                ("words&sort=relevance&after=x", 400, "after invalid"), ("words&limit=0", 400, "limit out_of_range"),
            ] as [(String, Int, String?)] {
                let text = query.contains("&") ? query : escaped(query)
                let answer = try await chat.send(.get, "/v1/search?q=\(text)")
                #expect(answer.status == status, "\(query): \(answer.text)")
                if let complaint { #expect(answer.violations == [complaint]) }
            }
            #expect(try await chat.send(.get, "/v1/search").violations == ["q required"])
            #expect(try await chat.send(.get, "/v1/search?q=words&after=nonsense").code == "invalid_cursor")
        }
    }

    @Test(
        "filters narrow, and nothing of others, of the trash or of deleted messages is found",
        arguments: TestEngine.allCases
    )
    func filters(engine: TestEngine) async throws {
        let time = TestClock()
        try await withChat(engine, clock: time.clock) { chat in
            let one = try await chat.conversation(#"{"title":"tide tables"}"#)
            try await chat.append(#"{"role":"user","content":"tide one","id":"u1"}"#, to: one)
            time.advance(.seconds(86_400))
            let noon = time.clock.now().rfc3339
            try await chat.append(#"{"role":"assistant","content":"tide two","id":"a1"}"#, to: one)
            let two = try await chat.conversation(#"{"messages":[{"role":"user","content":"tide three","id":"u2"}]}"#)
            let theirs = try await chat.conversation(
                #"{"title":"tide","messages":[{"role":"user","content":"tide four","id":"s1"}]}"#,
                as: "stranger"
            )
            func ids(_ filter: String, as user: String = "owner") async throws -> Set<String> {
                Set(
                    try await chat.pages("/v1/search?q=tide\(filter)", as: user).flatMap { $0 }.compactMap {
                        $0["id"]?.string
                    }
                )
            }
            #expect(try await ids("") == [one, two, "u1", "a1", "u2"])
            #expect(try await ids("&role=user") == ["u1", "u2"])
            #expect(try await ids("&conversation_id=\(one)") == ["u1", "a1"])
            #expect(try await ids("&conversation_id=\(theirs)") == [])
            #expect(try await ids("&from=\(noon)") == ["a1", "u2", two])
            #expect(try await ids("&to=\(noon)") == ["u1", one])
            #expect(try await ids("", as: "stranger") == [theirs, "s1"])
            _ = try await chat.send(.patch, "/v1/conversations/\(one)", #"{"title":"harbour"}"#)
            #expect(try await ids("") == [two, "u1", "a1", "u2"])
            #expect(try await chat.search("harbour").compactMap { $0["id"]?.string } == [one])
            _ = try await chat.send(.delete, "/v1/conversations/\(two)")
            #expect(try await ids("") == ["u1", "a1"])
            // As the deletion of a message leaves its row.
            let wipe = Statement(
                "test.wipe",
                .writes,
                ["id": .text, "at": .instant],
                "UPDATE messages SET deleted_at = :at, content_text = NULL, search = NULL WHERE id = :id"
            )
            _ = try await chat.database.run(wipe.bind(["id": "u1", "at": time.clock.now()]))
            #expect(try await ids("") == ["a1"])
            let remove = Statement("test.remove", .writes, ["id": .text], "DELETE FROM conversations WHERE id = :id")
            _ = try await chat.database.run(remove.bind(["id": one]))
            #expect(try await ids("") == [])
        }
    }

    @Test("relevance puts what says it most in front", arguments: TestEngine.allCases)
    func relevance(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            for (name, text) in [
                ("much", "moon moon moon and moon"), ("long", "moon " + String(repeating: "filler ", count: 200)),
                ("short", "the moon"), ("none", "the sun"),
            ] {
                try await chat.append(#"{"role":"user","content":"\#(text)","id":"\#(name)"}"#, to: id)
            }
            let answer = try await chat.send(.get, "/v1/search?q=moon&sort=relevance&limit=2&role=user")
            #expect(try answer.json["data"]?.array?.compactMap { $0["id"]?.string } == ["much", "short"])
            #expect(try answer.json["next_cursor"]?.isNull == true)
            #expect(try answer.json["has_more"]?.boolean == true)
            #expect(answer.headers[.cacheControl]?.contains("no-store") == true)
        }
    }

    @Test("a common word in one busy hour is found page by page", arguments: TestEngine.allCases)
    func crowd(engine: TestEngine) async throws {
        let time = TestClock()
        try await withChat(engine, clock: time.clock) { chat in
            let id = try await chat.conversation(#"{"title":"x"}"#)
            for batch in 0..<6 {
                let messages = (0..<100).map { #"{"role":"user","content":"crowd","id":"m-\#(batch * 100 + $0)"}"# }
                try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: id)
                time.advance(.seconds(1))
            }
            // Long afterwards: the newest windows are empty.
            time.advance(.seconds(40_000_000))
            try await chat.append(#"{"role":"user","content":"quiet"}"#, to: id)
            let found = try await chat.pages("/v1/search?q=crowd&limit=100").flatMap { $0 }
            #expect(found.compactMap { $0["id"]?.string } == (0..<600).reversed().map { "m-\($0)" })
        }
    }

    @Test(
        "a page costs a handful of units, and what is in the trash hides nothing older",
        arguments: TestEngine.allCases
    )
    func probes(engine: TestEngine) async throws {
        let time = TestClock()
        try await withChat(engine, clock: time.clock, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            let search = { (query: String, most: Int) async throws -> [String] in
                counting.forget()
                let hits = try await chat.search(query)
                let count = counting.transactions.count { $0.first == "search.messages" }
                #expect((1...most).contains(count), "\(query): \(count)")
                return hits.compactMap { $0["id"]?.string }
            }
            // One in the far future, as an import may bring it; then the clock is right again.
            let id = try await chat.conversation(#"{"id":"c","title":"x"}"#)
            time.advance(.seconds(900_000_000))
            try await chat.append(#"{"role":"user","content":"crowd","id":"late"}"#, to: id)
            time.advance(.seconds(-900_000_000))
            try await chat.append(#"{"role":"user","content":"crowd rare","id":"first"}"#, to: id)
            time.advance(.seconds(100_000_000))
            let busy = try await chat.conversation(#"{"id":"busy","title":"x"}"#)
            for batch in 0..<11 {
                let messages = (0..<100).map { #"{"role":"user","content":"crowd","id":"m-\#(batch * 100 + $0)"}"# }
                try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: busy)
                time.advance(.seconds(3600))
            }
            #expect(try await search("rare", 10) == ["first"])
            #expect(try await search("crowd", 16) == ["late"] + (1001..<1100).reversed().map { "m-\($0)" })
            time.advance(.seconds(50_000_000))
            #expect(try await search("crowd", 40) == ["late"] + (1001..<1100).reversed().map { "m-\($0)" })
            #expect(try await chat.send(.delete, "/v1/conversations/busy").status == 204)
            #expect(try await search("crowd", 48) == ["late", "first"])
        }
    }

    @Test("windows cover all of time, each second once")
    func windows() {
        for (level, second) in [(0, 1_800_000_000), (1, 0), (3, 4_294_967_295), (2, 16_777_215)] as [(Int, Int64)] {
            let window = SearchScope.Window(level: level, containing: second)
            let all = window.following(until: 4_294_967_295) + [window] + window.preceding(until: 0)
            #expect(all.first.map { $0.end > 4_294_967_295 } == true)
            #expect(all.last?.firstSecond == 0)
            for (later, earlier) in zip(all, all.dropFirst()) { #expect(earlier.end == later.firstSecond) }
            #expect(all.count < 320)
        }
    }

    @Test("nearly 1 MiB of distinct words is stored, and its head is found", arguments: TestEngine.allCases)
    func large(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let words = (0..<131_072).map { String($0 + 0x100000, radix: 16) + "z" }.joined(separator: " ")
            let text = String(words.prefix(1_048_000))
            #expect(text.utf8.count > 1_000_000)
            try await chat.append(#"{"role":"user","content":"\#(text)","id":"big"}"#, to: id)
            #expect(try await chat.search("\"10000fz 100010z\"").compactMap { $0["id"]?.string } == ["big"])
            let stored = try await chat.send(.get, "/v1/conversations/\(id)/messages/big").json["content"]?.string
            #expect(stored == text)
            // Far behind the head: stored, not searched.
            #expect(try await chat.search(String(0x100000 + 100_000, radix: 16) + "z").isEmpty)
        }
    }

    @Test(
        "rows of an older program are indexed afterwards, and until then the search says so",
        arguments: TestEngine.allCases
    )
    func backfill(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"An old title"}"#)
            let messages = (0..<100).map { #"{"role":"user","content":"old words \#($0)"}"# }
            try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: id)
            // As the previous program left them.
            for table in ["messages", "conversations"] {
                _ = try await chat.database.run(
                    Statement("test.forget", .writes, "UPDATE \(table) SET search = NULL").bind()
                )
            }
            let before = try await chat.send(.get, "/v1/search?q=old").json
            #expect(before["data"]?.array?.isEmpty == true)
            #expect(before["complete"]?.boolean == false)
            #expect(try await SearchBackfill(database: chat.database).run() == 101)
            #expect(try await SearchBackfill(database: chat.database).run() == 0)
            #expect(try await chat.pages("/v1/search?q=old&limit=100").flatMap { $0 }.count == 101)
            #expect(try await chat.send(.get, "/v1/search?q=old").json["complete"]?.boolean == true)
        }
    }
}

@Suite("Search among conversations")
struct TitleFilterTests {
    @Test("the list shows those whose titles hold the words, in its own order", arguments: TestEngine.allCases)
    func list(engine: TestEngine) async throws {
        let time = TestClock()
        try await withChat(engine, clock: time.clock) { chat in
            var expected: [String] = []
            for number in 1...12 {
                time.advance(.seconds(1))
                let title = number.isMultiple(of: 3) ? "Über the Tide \(number)" : "Other \(number)"
                let id = try await chat.conversation(#"{"title":"\#(title)"}"#)
                if number.isMultiple(of: 3) { expected.insert(id, at: 0) }
            }
            try await chat.create(#"{"title":"tide"}"#, as: "stranger")
            time.advance(.seconds(1))
            let last = expected.removeLast()
            try await chat.append(#"{"role":"user","content":"x"}"#, to: last)
            expected.insert(last, at: 0)
            let pages = try await chat.pages("/v1/conversations?limit=3&q=\(escaped("uber \"the tide\""))")
            #expect(pages.flatMap { $0 }.compactMap { $0["id"]?.string } == expected)
            #expect(pages.map(\.count) == [3, 1])
            let counted = try await chat.send(.get, "/v1/conversations?q=tide&count=true").json
            #expect(counted["total"]?.integer == 4)
            #expect(try await chat.send(.get, "/v1/conversations?q=tide&archived=true").json["data"]?.array?.count == 0)
            #expect(try await chat.send(.get, "/v1/conversations?q=-tide").status == 422)
        }
    }
}

@Suite("Search and erasure")
struct SearchPurgeTests {
    @Test("after rows are deleted and the index is purged, FTS5's file holds none of their words")
    func purge() async throws {
        try await withChat(.sqlite) { chat in
            let id = try await chat.conversation(#"{"title":"qzxtitle"}"#)
            try await chat.append(#"{"role":"user","content":"qzxmarker and more"}"#, to: id)
            let other = try await chat.conversation(#"{"title":"-"}"#)
            try await chat.append(#"{"role":"user","content":"what stays"}"#, to: other)
            let holding = Statement(
                "test.holding",
                .reads,
                ["word": .text],
                """
                SELECT (SELECT COUNT(*) FROM search_messages_data WHERE instr(block, CAST(:word AS BLOB)) > 0)
                    + (SELECT COUNT(*) FROM search_titles_data WHERE instr(block, CAST(:word AS BLOB)) > 0) AS n
                """
            )
            func pages(_ word: String) async throws -> Int64 {
                try #require(try await chat.database.run(holding.bind(["word": word])).first).integer("n")
            }
            #expect(try await pages("zxmarker") > 0)
            #expect(try await pages("zxtitle") > 0)
            let remove = Statement("test.remove", .writes, ["id": .text], "DELETE FROM conversations WHERE id = :id")
            _ = try await chat.database.run(remove.bind(["id": id]))
            #expect(try await SearchPurge(database: chat.database, clock: .system).run().passes == 2)
            #expect(try await pages("zxmarker") == 0)
            #expect(try await pages("zxtitle") == 0)
            #expect(try await chat.search("stays").count == 1)
        }
    }
}

extension Chat {
    func search(_ query: String, as user: String = "owner") async throws -> [JSONElement] {
        let answer = try await send(.get, "/v1/search?limit=100&q=\(escaped(query))", as: user)
        try #require(answer.status == 200, "\(query): \(answer.text)")
        return try #require(try answer.json["data"]?.array)
    }
}

/// Every byte of a query value as `%XX`.
func escaped(_ text: String) -> String {
    text.utf8.map { byte in
        let digits = String(byte, radix: 16)
        return "%" + (digits.utf8.count == 1 ? "0" + digits : digits)
    }.joined()
}
