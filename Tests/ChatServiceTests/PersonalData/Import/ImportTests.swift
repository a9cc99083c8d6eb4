// Imports of damaged files, and into accounts that differ from the file.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

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
                ("usage_total", "tokens_total", "1000000000001"), ("usage_total", "tokens_in", "1000000000001"),
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
            let sum = ExportedColumn.Bounds.sums.upperBound
            let usage = ExportedColumn.Bounds.usage.upperBound
            var lines = try await export(chat)
            for (entity, member, most) in [
                ("principal", "tokens_total", sum), ("conversation", "version", sum),
                ("conversation", "tokens_in", sum),
                ("message", "version", sum), ("usage_total", "tokens_total", usage),
                ("usage_total", "tokens_in", usage),
            ] {
                lines = lines.replacing(member, of: entity, with: "\(most)")
            }
            // So many that a sum for each would overflow.
            let file = try lines.repeatingUsage(9300)
            try await withChat(engine) { other async throws in
                #expect(try await other.take(file, for: "owner").conversations == 2)
                try await other.append(#"{"role":"user","content":"x","tokens_in":1000000000}"#, to: "a")
                for path in ["/v1/conversations/a", "/v1/conversations/a/messages/a-1"] {
                    let answer = try await other.send(.patch, path, #"{"metadata":{"x":1}}"#)
                    #expect(answer.status == 200, "\(answer.text)")
                }
                let received = try await other.send(.get, "/v1/usage")
                #expect(received.status == 200, "\(received.text)")
                #expect(try received.json["total"]?["tokens_total"]?.integer == 9300 * usage + 1_000_000_000)
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

    @Test(
        "S16: more usage than can be added up is told as very much, and never as an error or as room",
        arguments: TestEngine.allCases
    )
    func overflow(engine: TestEngine) async throws {
        try await withChat(
            engine,
            configure: {
                $0.quotas[.user] = Quotas.Limits(messagesPerDay: 10, tokensPerDay: 100, tokensPerMonth: 1000)
            }
        ) { chat async throws in
            let id = try await chat.conversation()
            // On every day of this test.
            let insert = Statement(
                "test.usage",
                .writes,
                ["day": .text, "messages": .integer],
                """
                INSERT INTO usage_totals (user_id, day, model, messages, tokens_in, tokens_out, tokens_total)
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10)
                SELECT 'owner', :day, 'model-' || n, :messages, :messages, :messages, :messages FROM numbers
                """
            )
            let now = Clock.system.now()
            for day in [now, now + .seconds(86_400)] {
                _ = try await chat.database.run(insert.bind(["day": UsageDay(day).text, "messages": Int64.max / 2]))
            }
            for path in ["/v1/usage", "/v1/usage?period=month", "/v1/usage?group=model"] {
                let received = try await chat.send(.get, path)
                #expect(received.status == 200, "\(path): \(received.text)")
                let used = try received.json["quota"]?["tokens_per_day"]?["used"]?.integer ?? 0
                #expect(used >= 4_000_000_000_000_000_000, "\(received.text)")
            }
            let reserved = try await chat.send(.post, "/v1/usage/reservations", #"{"tokens":1}"#)
            #expect(reserved.status == 429 && reserved.code == "quota_exceeded", "\(reserved.text)")
            let message = #"{"role":"user","content":"x"}"#
            let appended = try await chat.send(.post, "/v1/conversations/\(id)/messages", message)
            #expect(appended.status == 429 && appended.code == "quota_exceeded", "\(appended.text)")
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

    @Test(
        "a long conversation that is refused goes in pieces, behind its person's lock",
        arguments: TestEngine.allCases
    )
    func refusedInPieces(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let id = try await chat.conversation()
            try await chat.fill(id, count: 1200)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try await withChat(engine, counting: true) { other async throws in
                let counting = try #require(other.database as? CountingDatabase)
                // The id of one of its messages is taken.
                let taken = #"{"messages":[{"id":"\#(id)-1200","role":"user","content":"x"}]}"#
                try await other.create(taken, as: "stranger")
                counting.forget()
                let report = try await other.take(lines, for: "owner")
                #expect(report.conversations == 0 && report.refused.count == 1)
                let removals = counting.transactions.filter {
                    $0.contains { $0.hasPrefix("trash.") || $0.contains("abandon") }
                }
                // The end of it, and then 500, 500 and 200 with the row.
                #expect(
                    removals == [["principals.lock", "import.abandon_conversation"]]
                        + Array(
                            repeating: ["principals.lock", "trash.remove_messages", "trash.remove"],
                            count: 3
                        )
                )
                #expect(try await other.rows(of: "owner") == [0, 0])
                // An invisible conversation causes no change.
                #expect(try await other.rows("changes WHERE principal_id = 'owner'") == 0)
                // The cleanup removes an unfinished one an hour later.
                var importer = Importer(for: "owner", database: other.database)
                for line in lines.all { try await importer.take(Array(line.utf8)) }
                try await importer.flush()
                let abandon = ConversationImport.drop(
                    id: id,
                    owner: "owner",
                    at: Clock.system.now()
                )
                _ = try await other.database.run(Transaction([PrincipalStatements.lock(id: "owner"), abandon]))
                #expect(try await other.rows(of: "owner") == [1, 1199])
                let removed = try await other.cleanup(Clock { Clock.system.now() + .seconds(7200) }).run().counts
                #expect(removed.contains { $0.name == "chat_trash_messages" && $0.count == 1199 }, "\(removed)")
                #expect(try await other.rows(of: "owner") == [0, 0])
            }
        }
    }

    @Test("a file whose second reading ends early is no success", arguments: TestEngine.allCases)
    func empty(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            try await withChat(engine) { other async throws in
                for count in [0, 1, lines.all.count - 1] {
                    var importer = Importer(for: "owner", database: other.database)
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

    @Test(
        "a conversation that got its first tag while it was exported is counted with it, and loses it again",
        arguments: TestEngine.allCases
    )
    func taggedMeanwhile(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            let file = lines.replacing("has_tags", of: "conversation", with: "false")
            try #require(file.all != lines.all)
            try await withChat(engine) { other async throws in
                #expect(try await other.take(file, for: "owner").conversations == 2)
                for (removed, left) in [("a", 1), ("b", 0)] {
                    let names = try await other.send(.get, "/v1/conversations/\(removed)/tags").json["tags"]?.array
                    #expect(names?.count == 2)
                    let answer = try await other.send(.delete, "/v1/conversations/\(removed)/tags/work")
                    #expect(answer.status == 200, "\(answer.text)")
                    let tags = try #require(try await other.send(.get, "/v1/tags").json["data"]?.array)
                    let work = try #require(tags.first { $0["name"]?.string == "Work" })
                    #expect(work["conversation_count"]?.integer == Int64(left), "\(work.raw)")
                }
            }
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

    @Test(
        "the tags of a file without conversations come in, whatever the person has",
        arguments: TestEngine.allCases
    )
    func tagsAlone(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            _ = try await export(chat)
            for id in ["a", "b"] {
                let gone = try await chat.send(.delete, "/v1/conversations/\(id)?permanent=true")
                try #require(gone.status == 204, "\(gone.text)")
            }
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try #require(lines.count("conversation") == 0 && lines.count("tag") == 3)
            try await withChat(engine) { other async throws in
                try await other.create(#"{"id":"own"}"#)
                let report = try await other.take(lines, for: "owner")
                #expect(report.skipped == [:] && report.others == 4)
                let tags = try await other.send(.get, "/v1/tags").json["data"]?.array
                #expect(Set(tags?.compactMap { $0["name"]?.string } ?? []) == ["Work", "Home", "spare"])
            }
        }
    }

    @Test(
        "a tag that was deleted does not come back because something else of the person's is unfinished",
        arguments: TestEngine.allCases
    )
    func deletedTag(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            let tags = try #require(try await chat.send(.get, "/v1/tags").json["data"]?.array)
            let spare = try #require(tags.first { $0["name"]?.string == "spare" }?["id"]?.string)
            try #require(try await chat.send(.delete, "/v1/tags/\(spare)").status == 204)
            // As a fork leaves it that is under way, or whose process has died.
            try await chat.create(#"{"id":"fork"}"#)
            _ = try await chat.database.execute(
                "UPDATE conversations SET version = 0, deleted_at = created_at WHERE id = 'fork'"
            )
            let report = try await chat.take(lines, for: "owner")
            #expect(report.conversations == 0 && report.present == 2 && report.refused.isEmpty)
            let left = try await chat.send(.get, "/v1/tags").json["data"]?.array
            #expect(Set(left?.compactMap { $0["name"]?.string } ?? []) == ["Work", "Home"])
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
                    ["id": .text, "at": .instant],
                    """
                    INSERT INTO tags (id, owner_id, name, name_key, created_at, updated_at)
                    VALUES (:id, 'stranger', 'Theirs', 'theirs', :at, :at)
                    """
                )
                _ = try await other.database.run(taken.bind(["id": work, "at": Instant(seconds: 1)]))
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
                    // As a crash leaves it: every line so far is committed, and nothing is finished.
                    var importer = Importer(for: "owner", database: other.database)
                    for line in lines.all.prefix(count) { try await importer.take(Array(line.utf8)) }
                    try await importer.flush()
                }
                #expect(try await other.rows(of: "owner") == [3, 2])
                #expect(try await other.send(.get, "/v1/conversations").json["data"]?.array?.count == 1)
                let removed = try await other.cleanup(Clock { Clock.system.now() + .seconds(7200) }).run().counts
                #expect(removed.allSatisfy { $0.count == 0 }, "\(removed)")
                #expect(try await other.take(lines, for: "owner").conversations == 2)
                let back = Lines(try await other.send(.get, "/v1/chat/export").text)
                // The counts in the trailer differ only by the person's own conversation.
                let imported = back.comparable.filter { !$0.contains(#""id":"own""#) && !$0.contains(#""trailer""#) }
                #expect(imported == lines.comparable.filter { !$0.contains(#""trailer""#) })
            }
        }
    }
}

extension Lines {
    /// Repeats its one usage total, each time for another model.
    fileprivate func repeatingUsage(_ count: Int) throws -> Lines {
        let row = try #require(all.first { $0.hasPrefix(#"{"entity":"usage_total""#) })
        let model = #""model":"""#
        try #require(row.contains(model))
        return Lines(
            all.flatMap { line -> [String] in
                if line == row { return (0..<count).map { row.replacing(model, with: #""model":"m-\#($0)""#) } }
                guard line.hasPrefix(#"{"entity":"trailer""#) else { return [line] }
                return [line.replacing(#""usage_total":1"#, with: #""usage_total":\#(count)"#)]
            }
        )
    }

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
