import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Pages of changes")
struct ChangePageTests {
    @Test("each thing that happens is told once, in order, to its owner alone", arguments: TestEngine.allCases)
    func story(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let made = try await chat.conversation(
                #"{"id":"c1","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#
            )
            #expect(made == "c1")
            _ = try await chat.conversation(#"{"id":"c2"}"#)
            // Counters are no change; a title made from the first message is one.
            try await chat.append(#"{"id":"m1","role":"user","content":"x"}"#, to: "c1")
            try await chat.append(
                #"{"messages":[{"id":"m2","role":"user","content":"x"},{"id":"m3","role":"tool","content":"x"}]}"#,
                to: "c2"
            )
            let patch = #"{"pinned":true}"#
            #expect(try await chat.send(.patch, "/v1/conversations/c1", patch).status == 200)
            #expect(try await chat.send(.patch, "/v1/conversations/c1", as: "other", patch).status == 404)
            let taken = #"{"messages":[{"role":"user","content":"x"},{"id":"m1","role":"user","content":"x"}]}"#
            #expect(try await chat.send(.post, "/v1/conversations/c2/messages", taken).status == 409)
            #expect(
                try await chat.send(
                    .post,
                    "/v1/conversations",
                    #"{"id":"c9","messages":[{"id":"m1","role":"user","content":"x"}]}"#
                ).status == 409
            )
            #expect(try await chat.send(.delete, "/v1/conversations/c1").status == 204)
            try await chat.change("UPDATE conversations SET deleted_at = NULL, version = version + 1 WHERE id = 'c1'")
            try await chat.change("UPDATE messages SET parts = '[]', version = version + 1 WHERE id = 'm1'")
            try await chat.change(
                "UPDATE messages SET deleted_at = created_at, version = version + 1 WHERE id = 'm1'"
            )
            // One change for the conversation with all its content.
            try await chat.change("DELETE FROM conversations WHERE id = 'c1'")
            #expect(
                try await chat.changes() == [
                    "insert conversation c1 in c1 v1", "insert conversation c2 in c2 v1", "insert message m1 in c1 v1",
                    "update conversation c2 in c2 v2", "insert message m2 in c2 v1", "insert message m3 in c2 v1",
                    "update conversation c1 in c1 v2", "trash conversation c1 in c1 v3",
                    "insert conversation c1 in c1 v4", "update message m1 in c1 v2", "delete message m1 in c1 v3",
                    "delete conversation c1 in c1 -",
                ]
            )
            #expect(try await chat.changes(as: "other") == [])
        }
    }

    @Test("tags and votes are told by themselves, and nothing of what goes along", arguments: TestEngine.allCases)
    func tagsAndVotes(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let messages = (1...3).map { #"{"id":"m\#($0)","role":"assistant","content":"x"}"# }.joined(separator: ",")
            _ = try await chat.conversation(#"{"id":"c1","messages":[\#(messages)]}"#)
            try await chat.change("DELETE FROM changes")
            let vote = { (message: String, value: String) async throws in
                let path = "/v1/conversations/c1/messages/\(message)/vote"
                let answer = try await chat.send(.put, path, #"{"value":"\#(value)"}"#)
                #expect(answer.status == 200, "\(answer.text)")
            }
            for (message, value) in [("m1", "up"), ("m1", "up"), ("m1", "down"), ("m1", "none"), ("m2", "up")] {
                try await vote(message, value)
            }
            try await vote("m3", "up")
            #expect(try await chat.send(.delete, "/v1/conversations/c1/messages/m2").status == 204)
            let tags = try await chat.send(.put, "/v1/conversations/c1/tags", #"{"tags":["work"]}"#)
            #expect(tags.status == 200, "\(tags.text)")
            let page = try await chat.send(.get, "/v1/tags").json
            let tag = try #require(page["data"]?.array?.first?["id"]?.string)
            #expect(try await chat.send(.patch, "/v1/tags/\(tag)", #"{"name":"home"}"#).status == 200)
            #expect(try await chat.send(.delete, "/v1/tags/\(tag)").status == 204)
            try await chat.change("DELETE FROM conversations WHERE id = 'c1'")
            let received = try await chat.changes()
            #expect(
                received.filter { $0.contains(" tag ") }
                    == ["insert", "update", "delete"].map { "\($0) tag \(tag) in - -" }
            )
            #expect(
                received.filter { $0.contains(" vote ") } == [
                    "insert vote m1 in c1 -", "update vote m1 in c1 -", "delete vote m1 in c1 -",
                    "insert vote m2 in c1 -", "insert vote m3 in c1 -",
                ]
            )
            #expect(received.last?.hasPrefix("delete conversation c1") == true)
        }
    }

    @Test("what happens to a conversation in the trash is not told until it comes back", arguments: TestEngine.allCases)
    func trashed(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            _ = try await chat.conversation(#"{"id":"c1"}"#)
            #expect(try await chat.send(.put, "/v1/conversations/c1/tags", #"{"tags":["work"]}"#).status == 200)
            let page = try await chat.send(.get, "/v1/tags").json
            let tag = try #require(page["data"]?.array?.first?["id"]?.string)
            #expect(try await chat.send(.delete, "/v1/conversations/c1").status == 204)
            try await chat.change("DELETE FROM changes")
            #expect(try await chat.send(.delete, "/v1/tags/\(tag)").status == 204)
            #expect(try await chat.changes() == ["delete tag \(tag) in - -"])
            #expect(try await chat.send(.post, "/v1/conversations/c1/restore").status == 200)
            #expect(try await chat.changes().last?.hasPrefix("insert conversation c1 in c1 v") == true)
        }
    }

    @Test("what leaves the trash for good is told, and so is what never was in it", arguments: TestEngine.allCases)
    func leavingTheTrash(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for id in ["a", "b", "c", "d", "e"] {
                _ = try await chat.conversation(#"{"id":"\#(id)","messages":[{"role":"user","content":"x"}]}"#)
            }
            try await chat.change("DELETE FROM changes")
            func delete(_ path: String) async throws {
                #expect(
                    (200...204).contains(try await chat.send(.delete, "/v1/conversations\(path)").status),
                    "\(path)"
                )
            }
            try await delete("/a?permanent=true")
            for id in ["b", "c", "d"] { try await delete("/\(id)") }
            try await delete("/b?permanent=true")
            clock.advance(.seconds(31 * 86_400))
            _ = try await chat.cleanup(clock.clock).run()
            try await delete("?all=true&permanent=true")
            let received = try await chat.changes()
            #expect(
                received.prefix(5).map { $0 } == [
                    "delete conversation a in a -", "trash conversation b in b v2", "trash conversation c in c v2",
                    "trash conversation d in d v2", "delete conversation b in b -",
                ]
            )
            #expect(received.dropFirst(5).sorted() == ["c", "d", "e"].map { "delete conversation \($0) in \($0) -" })
            #expect(try await chat.rows("conversations") == 0)
        }
    }

    @Test("a page ends where the next begins, and the last one says where to go on", arguments: TestEngine.allCases)
    func pages(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for index in 0..<5 { _ = try await chat.conversation(#"{"id":"c\#(index)"}"#) }
            var ids: [String] = []
            var cursor = ""
            var isOver = false
            while !isOver {
                let answer = try await chat.send(.get, "/v1/changes?limit=2\(cursor)")
                #expect(answer.headers[.cacheControl] == "no-store")
                let page = try answer.json
                ids += page["data"]?.array?.compactMap { $0["entity_id"]?.string } ?? []
                cursor = "&after=\(try #require(page["next_cursor"]?.string))"
                isOver = try #require(page["has_more"]?.boolean as Bool?) == false
            }
            #expect(ids == (0..<5).map { "c\($0)" })
            #expect(try await chat.send(.get, "/v1/changes?limit=2\(cursor)").json["data"]?.array?.isEmpty == true)
            _ = try await chat.conversation(#"{"id":"c5"}"#)
            let more = try await chat.send(.get, "/v1/changes?limit=2\(cursor)").json
            #expect(more["data"]?.array?.compactMap { $0["entity_id"]?.string } == ["c5"])
        }
    }

    @Test("`after=end` begins with what comes next, for somebody who never wrote too", arguments: TestEngine.allCases)
    func end(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            _ = try await chat.conversation(as: "other")
            for user in ["owner", "newcomer"] {
                let end = try await chat.send(.get, "/v1/changes?after=end", as: user).json
                #expect(end["data"]?.array?.isEmpty == true)
                let cursor = try #require(end["next_cursor"]?.string)
                _ = try await chat.conversation(#"{"id":"of-\#(user)"}"#, as: user)
                let page = try await chat.send(.get, "/v1/changes?after=\(cursor)", as: user).json
                #expect(page["data"]?.array?.compactMap { $0["entity_id"]?.string } == ["of-\(user)"])
            }
        }
    }

    @Test("a cursor that cannot be followed without a hole is 410 with the way back", arguments: TestEngine.allCases)
    func gone(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for index in 0..<4 { _ = try await chat.conversation(#"{"id":"c\#(index)"}"#) }
            let first = try await chat.send(.get, "/v1/changes?limit=1").json
            let old = try #require(first["next_cursor"]?.string)
            let cursor = try EventCursor(RequestText(old))
            for bad in ["\(cursor.epoch):99", "0000000000000000:1"] {
                let answer = try await chat.send(.get, "/v1/changes?after=\(bad)")
                #expect(answer.status == 410)
                #expect(answer.code == "cursor_gone")
            }
            for bad in ["yesterday", "\(cursor.epoch):-1", ":1", "\(cursor.epoch):x"] {
                #expect(try await chat.send(.get, "/v1/changes?after=\(bad)").code == "invalid_cursor", "\(bad)")
            }
            // Three of four are removed by age.
            let old8 = Clock.system.now() - .seconds(8 * 86_400)
            let age = Statement(
                "test.age",
                .writes,
                ["at": .instant],
                "UPDATE changes SET at = :at WHERE entity_id <> 'c3'"
            )
            _ = try await chat.database.run(age.bind(["at": old8]))
            let cleanup = chat.cleanup(.system, changeRetention: .seconds(7 * 86_400))
            #expect(try await cleanup.run().counts.first { $0.name == "chat_changes" }?.count == 3)
            #expect(try await cleanup.run().counts.first { $0.name == "chat_changes" }?.count == 0)
            let answer = try await chat.send(.get, "/v1/changes?after=\(old)")
            #expect(answer.status == 410)
            #expect(try await chat.changes() == ["insert conversation c3 in c3 v1"])
            let resync = try #require(try answer.json["resync_cursor"]?.string)
            _ = try await chat.conversation(#"{"id":"c4"}"#)
            #expect(try await chat.changes(after: resync) == ["insert conversation c4 in c4 v1"])
            // A restore begins another history.
            _ = try await chat.database.run(ChangeStatements.begin(epoch: "another"))
            #expect(try await chat.send(.get, "/v1/changes?after=\(resync)").status == 410)
        }
    }

    @Test("a person's erasure makes nobody else's cursor void", arguments: TestEngine.allCases)
    func othersErasure(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            _ = try await chat.conversation(as: "other")
            _ = try await chat.conversation(as: "owner")
            // The owner's row, which is the newest.
            let end = try await chat.send(.get, "/v1/changes?after=end", as: "other").json
            let cursor = try #require(end["next_cursor"]?.string)
            let erasure = try await chat.send(.delete, "/v1/chat/data")
            #expect(erasure.status == 200, "\(erasure.text)")
            #expect(try await chat.rows("changes WHERE principal_id = 'owner'") == 0)
            #expect(try await chat.changes(as: "other", after: cursor) == [])
            // A position that does not exist yet is as void as before.
            let beyond = try EventCursor(RequestText(cursor))
            let answer = try await chat.send(.get, "/v1/changes?after=\(beyond.epoch):\(beyond.seq + 1)", as: "other")
            #expect(answer.status == 410)
            _ = try await chat.conversation(#"{"id":"next"}"#, as: "other")
            #expect(try await chat.changes(as: "other", after: cursor) == ["insert conversation next in next v1"])
        }
    }

    @Test(
        "who polls, and missed nothing, is never told to begin anew; a poll is one unit, which only reads",
        arguments: TestEngine.allCases
    )
    func poller(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            _ = try await chat.conversation(#"{"id":"mine"}"#)
            let page = try await chat.send(.get, "/v1/changes").json
            let cursor = try #require(page["next_cursor"]?.string)
            let newcomer = try #require(
                try await chat.send(.get, "/v1/changes", as: "newcomer").json["next_cursor"]?.string
            )
            for _ in 0..<3 { _ = try await chat.conversation(as: "other") }
            let others = try #require(
                try await chat.send(.get, "/v1/changes?limit=1", as: "other").json["next_cursor"]?.string
            )
            try await chat.forgetChanges(expecting: 4)
            counting.forget()
            #expect(try await chat.changes(after: cursor) == [])
            #expect(counting.transactions == [["changes.after", "changes.state"]])
            #expect(try await chat.changes(as: "newcomer", after: newcomer) == [])
            // Two of their changes are gone unread.
            #expect(try await chat.send(.get, "/v1/changes?after=\(others)", as: "other").status == 410)
            _ = try await chat.conversation(#"{"id":"new"}"#)
            #expect(try await chat.changes(after: cursor) == ["insert conversation new in new v1"])
        }
    }

    @Test("a hole that is never filled does not keep a reader waiting, and one that is filled is seen")
    func frontier() {
        var frontier = ChangeFrontier(at: 10)
        let now = ContinuousClock.now
        func take(_ numbers: [Int64]) -> [Bool] { numbers.map { frontier.take($0) } }
        #expect(take([11, 12, 14, 15]) == [true, true, true, true])
        frontier.advance(at: now)
        #expect(frontier.floor == 12)
        #expect(take([14, 11, 13]) == [false, false, true])
        frontier.advance(at: now)
        #expect(frontier.floor == 15)
        #expect(take([17]) == [true])
        frontier.advance(at: now)
        frontier.advance(at: now + .seconds(4))
        #expect(frontier.floor == 15)
        frontier.advance(at: now + .seconds(6))
        #expect(frontier.floor == 17)
    }

    @Test("who was erased is told nothing, and nothing of theirs is told", arguments: TestEngine.allCases)
    func erased(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            try await chat.change("DELETE FROM changes")
            try await chat.mark("owner", active: true, erasedAt: Instant(seconds: 1_800_000_000))
            try await chat.change("UPDATE conversations SET version = version + 1 WHERE id = '\(id)'")
            try await chat.change("DELETE FROM conversations WHERE id = '\(id)'")
            #expect(try await chat.changes() == [])
        }
    }
}

extension Chat {
    func change(_ sql: String) async throws {
        _ = try await database.run(Statement("test.change", .writes, sql).bind())
    }

    /// Ages every change and removes them.
    func forgetChanges(expecting count: Int) async throws {
        let age = Statement("test.age", .writes, ["at": .instant], "UPDATE changes SET at = :at")
        _ = try await database.run(age.bind(["at": Clock.system.now() - .seconds(8 * 86_400)]))
        let counts = try await cleanup(.system, changeRetention: .seconds(7 * 86_400)).run().counts
        #expect(counts.first { $0.name == "chat_changes" }?.count == count)
    }

    func changes(as user: String = "owner", after: String? = nil) async throws -> [String] {
        let answer = try await send(.get, "/v1/changes?limit=1000" + (after.map { "&after=\($0)" } ?? ""), as: user)
        try #require(answer.status == 200, "\(answer.text)")
        return (try answer.json["data"]?.array ?? []).map(Self.line)
    }

    static func line(_ change: JSONElement) -> String {
        let text = { (name: String) in change[name]?.string ?? "-" }
        let version = change["version"]?.integer.map { "v\($0)" } ?? "-"
        return "\(text("op")) \(text("entity")) \(text("entity_id")) in \(text("conversation_id")) \(version)"
    }
}
