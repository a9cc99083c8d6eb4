// What an import makes of a file that is not as an export left it, and of a person who is not as the file left them.
import HTTPTypes
import Storage
import TestSupport
import Testing
import WebSupport

@testable import ChatService

@Suite("Imports")
struct ImportTests {
    /// A row of each entity: two conversations, tags on both and one on none, votes, tokens.
    private func export(_ chat: Chat) async throws -> Lines {
        for id in ["a", "b"] {
            try await chat.create(
                """
                {"id":"\(id)","settings":{"s":1},"metadata":{"m":1},
                 "messages":[{"id":"\(id)-1","role":"user","content":"words","tokens_in":3,"metadata":{"m":1}}]}
                """
            )
            try await chat.put("/v1/conversations/\(id)/tags", #"{"tags":["Work","Home"]}"#)
            try await chat.put("/v1/conversations/\(id)/messages/\(id)-1/vote", #"{"value":"up"}"#)
        }
        try await chat.put("/v1/conversations/a/tags/spare", nil)
        try #require(try await chat.send(.delete, "/v1/conversations/a/tags/spare").status == 200)
        let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
        for (entity, count) in [("tag", 3), ("conversation_tag", 4), ("vote", 2), ("usage_total", 1)] {
            try #require(lines.count(entity) == count, "\(entity)")
        }
        return lines
    }

    @Test(
        "numbers that nobody could go on from, days and times that are none, and JSON of another shape are refused",
        arguments: TestEngine.allCases
    )
    func hostile(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            let most = Int64.max
            let forgeries: [(entity: String, member: String, value: String)] = [
                ("principal", "tokens_total", "\(most)"), ("principal", "tokens_total", "\(Int64.min)"),
                ("principal", "first_seen_at", #""0000-06-01T00:00:00Z""#),
                ("conversation", "version", "\(most)"), ("conversation", "last_seq", "\(most)"),
                ("conversation", "message_count", "-1"), ("conversation", "tokens_in", "\(most)"),
                ("conversation", "tokens_out", "-1"), ("conversation", "settings", #""s""#),
                ("conversation", "settings", "null"), ("conversation", "metadata", "7"),
                ("conversation", "metadata", "[]"),
                ("conversation", "created_at", #""0000-01-01T00:00:00+14:00""#),
                ("conversation", "updated_at", #""0001-01-01T00:00:00+00:01""#),
                ("conversation", "updated_at", #""9999-12-31T23:59:59-00:01""#),
                ("message", "version", "\(most)"), ("message", "seq", "\(most)"),
                ("message", "tokens_in", "\(most)"), ("message", "tokens_total", "-1"),
                ("message", "metadata", "true"), ("message", "parts", #"{"type":"text"}"#),
                ("message", "parts", #""text""#), ("vote", "value", "2"),
                ("usage_total", "tokens_total", "\(most)"), ("usage_total", "messages", "\(Int64.min)"),
                ("usage_total", "day", #""2026-02-30""#), ("usage_total", "day", #""today""#),
                ("usage_total", "day", #""0000-01-01""#),
            ]
            try await withChat(engine) { other async throws in
                for forgery in forgeries {
                    let forged = lines.replacing(forgery.member, of: forgery.entity, with: forgery.value)
                    try #require(forged.all != lines.all, "\(forgery)")
                    await #expect(throws: ImportRefusal.self, "\(forgery)") {
                        try await other.take(forged, for: "owner")
                    }
                }
                #expect(try await other.rows(of: "owner") == [0, 0])
                #expect(try await other.send(.get, "/v1/conversations").json["data"]?.array?.isEmpty == true)
            }
        }
    }

    @Test("the greatest numbers that are taken can still be added to", arguments: TestEngine.allCases)
    func room(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let most = "\(ExportedColumn.Bounds.sums.upperBound)"
            var lines = try await export(chat)
            for (entity, member) in [
                ("principal", "tokens_total"), ("conversation", "version"), ("conversation", "tokens_in"),
                ("message", "version"), ("usage_total", "tokens_total"), ("usage_total", "tokens_in"),
            ] {
                lines = lines.replacing(member, of: entity, with: most)
            }
            let file = lines
            try await withChat(engine) { other async throws in
                #expect(try await other.take(file, for: "owner").conversations == 2)
                try await other.append(#"{"role":"user","content":"x","tokens_in":1000000000}"#, to: "a")
                for path in ["/v1/conversations/a", "/v1/conversations/a/messages/a-1"] {
                    let answer = try await other.send(.patch, path, #"{"metadata":{"x":1}}"#)
                    #expect(answer.status == 200, "\(answer.text)")
                }
                #expect(try await other.send(.get, "/v1/usage").status == 200)
                let token = try other.tokens.token(for: "root", ["role": #""admin""#])
                let stats = try await other.send(
                    .get,
                    "/v1/chat/admin/stats",
                    as: nil,
                    headers: [.authorization: "Bearer \(token)"]
                )
                #expect(stats.status == 200, "\(stats.text)")
            }
        }
    }

    @Test("S16: an import is no credit: usage below zero is taken as nothing", arguments: TestEngine.allCases)
    func credit(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
                .replacing("tokens_total", of: "usage_total", with: "-1000000000")
                .replacing("messages", of: "usage_total", with: "-5")
                .replacing("tokens_total", of: "principal", with: "-900")
            try await withChat(
                engine,
                configure: { $0.quotas[.user] = Quotas.Limits(messagesPerDay: 10, tokensPerDay: 100) }
            ) { other async throws in
                #expect(try await other.take(lines, for: "owner").conversations == 2)
                let quota = try #require(try await other.send(.get, "/v1/usage").json["quota"])
                #expect(quota["tokens_per_day"]?["used"]?.integer == 0, "\(quota.raw)")
                #expect(quota["messages_per_day"]?["used"]?.integer == 0, "\(quota.raw)")
                #expect(try await other.send(.get, "/v1/usage").json["tokens_lifetime"]?.integer == 0)
                let reserved = try await other.send(.post, "/v1/usage/reservations", #"{"tokens":101}"#)
                #expect(reserved.status == 429, "\(reserved.text)")
            }
        }
    }

    @Test("a file whose second reading ends early is no success", arguments: TestEngine.allCases)
    func empty(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            try await withChat(engine) { other async throws in
                for count in [0, 1, lines.all.count - 1] {
                    var importer = Importer(for: "owner", database: other.database, clock: .system)
                    for line in lines.all.prefix(count) { try await importer.take(Array(line.utf8)) }
                    await #expect(throws: ImportRefusal.self, "\(count)") { _ = try await importer.finish() }
                }
                #expect(try await other.send(.get, "/v1/conversations").json["data"]?.array?.isEmpty == true)
            }
        }
    }

    @Test(
        "a vote and a tag that were taken away do not come back to a conversation that is there",
        arguments: TestEngine.allCases
    )
    func takenAway(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            for path in [
                "/v1/conversations/a/messages/a-1/vote", "/v1/conversations/a/tags/work",
                "/v1/conversations/b/tags/home",
                "/v1/conversations/a/tags/home",
            ] {
                let answer = try await chat.send(.delete, path)
                try #require((200..<300).contains(answer.status), "\(path): \(answer.text)")
            }
            // And one that is gone altogether.
            let tags = try #require(try await chat.send(.get, "/v1/tags").json["data"]?.array)
            let home = try #require(tags.first { $0["name"]?.string == "Home" }?["id"]?.string)
            try #require(try await chat.send(.delete, "/v1/tags/\(home)").status == 204)
            let before = Lines(try await chat.send(.get, "/v1/chat/export").text)
            let report = try await chat.take(lines, for: "owner")
            #expect(report.conversations == 0 && report.present == 2 && report.others == 0)
            #expect(report.skipped == ["tag": 3, "conversation_tag": 4, "vote": 2, "usage_total": 1])
            let after = Lines(try await chat.send(.get, "/v1/chat/export").text)
            #expect(after.comparable == before.comparable)
        }
    }

    @Test("a tag that the person has under another id is the same tag", arguments: TestEngine.allCases)
    func sameTag(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            try await withChat(engine) { other async throws in
                try await other.create(#"{"id":"own"}"#)
                try await other.put("/v1/conversations/own/tags", #"{"tags":["WORK"]}"#)
                let report = try await other.take(lines, for: "owner")
                #expect(report.conversations == 2 && report.skipped == ["tag": 1])
                for id in ["a", "b"] {
                    let names = try await other.send(.get, "/v1/conversations/\(id)/tags").json["tags"]?.array
                    #expect(Set(names?.compactMap(\.string) ?? []) == ["WORK", "Home"])
                }
            }
        }
    }

    @Test("a tag whose id is somebody else's is told as skipped, and not adopted", arguments: TestEngine.allCases)
    func takenTag(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            let tags = try #require(try await chat.send(.get, "/v1/tags").json["data"]?.array)
            let work = try #require(tags.first { $0["name"]?.string == "Work" }?["id"]?.string)
            try await withChat(engine) { other async throws in
                try await other.create(as: "stranger")
                let taken = Statement(
                    "test.taken",
                    .writes,
                    [.text, .instant],
                    """
                    INSERT INTO tags (id, owner_id, name, name_key, created_at, updated_at)
                    VALUES ($1, 'stranger', 'Theirs', 'theirs', $2, $2)
                    """
                )
                _ = try await other.database.run(taken(work, Instant(seconds: 1)))
                let report = try await other.take(lines, for: "owner")
                #expect(report.conversations == 2 && report.skipped == ["tag": 1, "conversation_tag": 2])
                let theirs = try await other.send(.get, "/v1/tags", as: "stranger").json["data"]?.array
                #expect(theirs?.map { $0["name"]?.string } == ["Theirs"])
            }
        }
    }

    @Test(
        "an import that dies at its very end shows nothing, and the next one brings votes and tags too",
        arguments: TestEngine.allCases
    )
    func interrupted(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            try await withChat(engine) { other async throws in
                try await other.create(#"{"id":"own"}"#)
                for count in 1..<lines.all.count {
                    // As a crash leaves it: whatever was taken is committed, line by line, and nothing is finished.
                    var importer = Importer(for: "owner", database: other.database, clock: .system)
                    for line in lines.all.prefix(count) { try await importer.take(Array(line.utf8)) }
                    try await importer.flush()
                }
                #expect(try await other.rows(of: "owner") == [3, 2])
                #expect(try await other.send(.get, "/v1/conversations").json["data"]?.array?.count == 1)
                // Not even the cleanup's business yet.
                let removed = try await other.cleanup(Clock { Clock.system.now() + .seconds(7200) }).run()
                #expect(removed.allSatisfy { $0.count == 0 }, "\(removed)")
                #expect(try await other.take(lines, for: "owner").conversations == 2)
                let back = Lines(try await other.send(.get, "/v1/chat/export").text)
                // Nothing else of the counts in the trailer but the person's own conversation.
                let imported = back.comparable.filter { !$0.contains(#""id":"own""#) && !$0.contains(#""trailer""#) }
                #expect(imported == lines.comparable.filter { !$0.contains(#""trailer""#) })
            }
        }
    }
}

extension Lines {
    /// With another value for a member of each line of an entity. The value ends at the next member or the line.
    func replacing(_ member: String, of entity: String, with value: String) -> Lines {
        Lines(
            all.map { line in
                guard line.hasPrefix(#"{"entity":"\#(entity)","#), let element = try? JSONElement.parse(line),
                    let old = element[member]
                else { return line }
                return line.replacing(#""\#(member)":\#(old.raw)"#, with: #""\#(member)":\#(value)"#)
            }
        )
    }
}

extension Chat {
    /// Puts, and expects success.
    fileprivate func put(_ path: String, _ json: String?) async throws {
        let answer = try await send(.put, path, json)
        try #require((200..<300).contains(answer.status), "\(path): \(answer.text)")
    }
}
