import ChatService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("The trash")
struct TrashTests {
    @Test("what was deleted is listed, and comes back as it was", arguments: TestEngine.allCases)
    func restore(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for index in 0..<3 {
                clock.advance(.seconds(1))
                try await chat.create(#"{"id":"c-\#(index)","messages":[{"role":"user","content":"x"}]}"#)
            }
            _ = try await chat.send(.put, "/v1/conversations/c-0/tags/kept")
            for index in [1, 0] {
                clock.advance(.seconds(1))
                _ = try await chat.send(.delete, "/v1/conversations/c-\(index)")
            }
            let trash = try await chat.send(.get, "/v1/conversations?trash=true&count=true").json
            #expect(trash["total"]?.integer == 2)
            let rows = try #require(trash["data"]?.array)
            #expect(rows.map { $0["id"]?.string } == ["c-0", "c-1"])
            #expect(rows[0]["deleted_at"]?.string?.isEmpty == false)
            #expect(rows[0]["tags"]?.array?.map(\.string) == ["kept"])
            let paged = try await chat.pages("/v1/conversations?trash=true&limit=1").flatMap { $0 }
            #expect(paged.map { $0["id"]?.string } == ["c-0", "c-1"])
            #expect(try await chat.pages("/v1/conversations?trash=true&limit=5", as: "stranger").flatMap { $0 }.isEmpty)
            #expect(try await chat.pages("/v1/conversations?limit=5").flatMap { $0 }.count == 1)

            for header in ["\"v1\"", "\"v2\""] {
                let stale = try await chat.send(
                    .post,
                    "/v1/conversations/c-0/restore",
                    headers: [.ifMatch: header]
                )
                #expect(stale.status == 412, "\(header)")
                #expect(stale.headers[.eTag] == "\"v3\"")
                #expect(try stale.json["current"]?["deleted_at"]?.string?.isEmpty == false)
                #expect(try stale.json["current"]?["tags"]?.array?.map(\.string) == ["kept"])
            }
            #expect(try await chat.send(.post, "/v1/conversations/c-0/restore", as: "stranger").status == 404)
            let back = try await chat.send(.post, "/v1/conversations/c-0/restore", headers: [.ifMatch: "\"v3\""])
            #expect(back.status == 200, "\(back.text)")
            #expect(back.headers[.eTag] == "\"v4\"")
            #expect(try back.json["deleted_at"] == nil)
            // A repetition has the same result.
            let again = try await chat.send(.post, "/v1/conversations/c-0/restore")
            #expect(again.text == back.text)
            try await chat.expectSound("c-0", count: 1)
            #expect(try await chat.send(.post, "/v1/conversations/nowhere/restore").status == 404)
        }
    }

    @Test(
        "what has been in the trash for as long as it keeps is gone, whether the cleanup has come or not",
        arguments: TestEngine.allCases
    )
    func expired(engine: TestEngine) async throws {
        let clock = TestClock()
        let retention: @Sendable (inout ChatConfiguration) -> Void = { $0.trashRetention = .seconds(60) }
        try await withChat(engine, clock: clock.clock, configure: retention) { chat in
            for id in ["old", "new"] {
                try await chat.create(#"{"id":"\#(id)"}"#)
                _ = try await chat.send(.delete, "/v1/conversations/\(id)")
                clock.advance(.seconds(30))
            }
            let path = "/v1/conversations/old/restore"
            let trash = try await chat.send(.get, "/v1/conversations?trash=true&limit=1&count=true").json
            #expect(trash["data"]?.array?.map { $0["id"]?.string } == ["new"])
            #expect(trash["total"]?.integer == 1)
            #expect(trash["has_more"]?.boolean == false)
            #expect(try await chat.send(.post, path).status == 404)
            #expect(try await chat.send(.post, path, headers: [.ifMatch: "\"v2\""]).status == 404)
            #expect(try await chat.send(.post, path, headers: [.ifMatch: "\"v1\""]).status == 404)
            #expect(try await chat.send(.post, "/v1/conversations/new/restore").status == 200)
            #expect(try await chat.send(.delete, "/v1/conversations/old?permanent=true").status == 204)
        }
    }

    @Test("a slug comes back unless somebody has it by now", arguments: TestEngine.allCases)
    func slug(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for id in ["a", "b"] {
                try await chat.create(#"{"id":"\#(id)","slug":"s"}"#)
                _ = try await chat.send(.delete, "/v1/conversations/\(id)")
            }
            #expect(try await chat.send(.post, "/v1/conversations/a/restore").json["slug"]?.string == "s")
            #expect(try await chat.send(.post, "/v1/conversations/b/restore").json["slug"]?.isNull == true)
        }
    }

    @Test("permanent is for good, from the trash or not, in pieces", arguments: TestEngine.allCases)
    func permanent(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            for id in ["a", "b"] {
                try await chat.create(#"{"id":"\#(id)"}"#)
                try await chat.chain(1200, in: id)
                _ = try await chat.send(.put, "/v1/conversations/\(id)/tags/t")
                let vote = "/v1/conversations/\(id)/messages/\(id)-7/vote"
                #expect(try await chat.send(.put, vote, #"{"value":"up"}"#).status == 200)
            }
            _ = try await chat.send(.delete, "/v1/conversations/b")
            let stale = try await chat.send(
                .delete,
                "/v1/conversations/b?permanent=true",
                headers: [.ifMatch: "\"v1\""]
            )
            #expect(stale.status == 412)
            #expect(try await chat.send(.delete, "/v1/conversations/b?permanent=true", as: "stranger").status == 404)
            let counting = try #require(chat.database as? CountingDatabase)
            for id in ["a", "b"] {
                counting.forget()
                #expect(try await chat.send(.delete, "/v1/conversations/\(id)?permanent=true").status == 204)
                // 500, 500, 200 messages, each transaction with its own lock.
                #expect(counting.transactions.count == 3)
                #expect(try await chat.send(.delete, "/v1/conversations/\(id)?permanent=true").status == 404)
                #expect(try await chat.send(.post, "/v1/conversations/\(id)/restore").status == 404)
            }
            for table in ["conversations", "messages", "votes", "conversation_tags"] {
                #expect(try await chat.rows(table) == 0, "\(table)")
            }
            try await chat.create(#"{"id":"a"}"#)
            #expect(try await chat.send(.delete, "/v1/conversations/a?permanent=perhaps").status == 400)
        }
    }

    @Test("all of a person's go to the trash or for good, and nobody else's", arguments: TestEngine.allCases)
    func all(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"a","messages":[{"role":"user","content":"x"}]}"#)
            try await chat.create(#"{"id":"theirs","messages":[{"role":"user","content":"x"}]}"#, as: "stranger")
            try await chat.fill(1100)
            try await chat.chain(700, in: "f-7")
            let trashed = try await chat.send(.delete, "/v1/conversations?all=true").json
            #expect(trashed["conversations"]?.integer == 1101)
            #expect(trashed["permanent"]?.boolean == false)
            #expect(try await chat.pages("/v1/conversations?limit=5").flatMap { $0 }.isEmpty)
            #expect(try await chat.rows("messages") == 702)
            #expect(try await chat.send(.post, "/v1/conversations/a/restore").status == 200)
            try await chat.create(#"{"id":"b"}"#)
            let gone = try await chat.send(.delete, "/v1/conversations?all=true&permanent=true").json
            #expect(gone["conversations"]?.integer == 1102)
            #expect(gone["messages"]?.integer == 701)
            #expect(try await chat.rows("conversations") == 1)
            #expect(try await chat.rows("messages") == 1)
            try await chat.expectSound("theirs", count: 1, as: "stranger")
            let nothing = try await chat.send(.delete, "/v1/conversations?all=true&permanent=true").json
            #expect(nothing["conversations"]?.integer == 0)
        }
    }

    @Test("a page by number is the page by cursor, and ends at row 10,000", arguments: TestEngine.allCases)
    func numbers(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"a"}"#)
            try await chat.fill(30)
            let byCursor = try await chat.pages("/v1/conversations?limit=7").map { $0.map { $0["id"]?.string } }
            for (index, expected) in byCursor.enumerated() {
                let page = try await chat.send(.get, "/v1/conversations?limit=7&page=\(index + 1)").json
                #expect(page["data"]?.array?.map { $0["id"]?.string } == expected)
                #expect(page["has_more"]?.boolean == (index + 1 < byCursor.count))
            }
            #expect(try await chat.send(.get, "/v1/conversations?limit=7&page=99").json["data"]?.array?.isEmpty == true)
            for bad in ["limit=100&page=101", "page=0", "page=x", "trash=true&page=1", "trash=true&tag=x", "tag=%00"] {
                #expect(try await chat.send(.get, "/v1/conversations?\(bad)").status == 400, "\(bad)")
            }
            #expect(try await chat.send(.get, "/v1/conversations?limit=100&page=100").status == 200)
        }
    }
}
