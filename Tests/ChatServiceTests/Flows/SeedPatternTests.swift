// The "query patterns" of the five source schemas (seeds 000–004) on conversations and votes, each as one request.
import HTTPTypes
import ServiceKit
import TestSupport
import Testing

@Suite("Query patterns of the seeds: conversations and votes")
struct SeedPatternTests {
    private static func ids(_ answer: Answer) throws -> [String?] {
        try answer.json["data"]?.array?.map { $0["id"]?.string } ?? []
    }

    @Test("Seed000 Q3: a user's chats, the last updated first", arguments: TestEngine.allCases)
    func seed000ChatsByUpdatedAt(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for id in ["a", "b", "c"] {
                clock.advance(.seconds(1))
                try await chat.create(#"{"id":"\#(id)"}"#)
            }
            clock.advance(.seconds(1))
            try await chat.append(#"{"role":"user","content":"x"}"#, to: "a")
            try await chat.create(#"{"id":"theirs"}"#, as: "stranger")
            #expect(try Self.ids(try await chat.send(.get, "/v1/conversations")) == ["a", "c", "b"])
        }
    }

    @Test("Seed000 Q4: a chat by id with its messages, the oldest first, in one unit", arguments: TestEngine.allCases)
    func seed000ChatWithMessages(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let items = (1...3).map { #"{"role":"user","content":"\#($0)"}"# }.joined(separator: ",")
            try await chat.create(#"{"id":"c","slug":"/chat/c","messages":[\#(items)]}"#)
            let counting = try #require(chat.database as? CountingDatabase)
            counting.forget()
            let row = try await chat.send(.get, "/v1/conversations/c?include=messages").json
            #expect(row["messages"]?.array?.map { $0["content"]?.string } == ["1", "2", "3"])
            #expect(row["slug"]?.string == "/chat/c")
            #expect(counting.transactions.count == 1)
        }
    }

    @Test("Seed001 Q1: the chats of a user, paged, with model and title", arguments: TestEngine.allCases)
    func seed001ChatsOfUser(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"model":"m-1","messages":[{"role":"USER","content":"What is it?"}]}"#)
            let row = try await chat.send(.get, "/v1/conversations").json["data"]?.array?.first
            #expect(row?["title"]?.string == "What is it?")
            #expect(row?["model"]?.string == "m-1")
            #expect(row?["message_count"]?.integer == 1)
        }
    }

    @Test("Seed001 Q2: a chat by id and user id", arguments: TestEngine.allCases)
    func seed001ChatByIDAndUser(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c"}"#)
            #expect(try await chat.send(.get, "/v1/conversations/c").status == 200)
            #expect(try await chat.send(.get, "/v1/conversations/c", as: "stranger").status == 404)
        }
    }

    @Test(
        "Seed001 Q3: a chat and its first message in one call, which returns the messages",
        arguments: TestEngine.allCases
    )
    func seed001CreateWithMessage(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            counting.forget()
            let row = try await chat.create(#"{"title":"t","messages":[{"role":"user","content":"x"}]}"#)
            #expect(row["messages"]?.array?.first?["content"]?.string == "x")
            #expect(counting.transactions.count == 1)
        }
    }

    @Test("Seed002: saveChat, getChatById, deleteChatById, deleteAllChatsByUserId", arguments: TestEngine.allCases)
    func seed002Chats(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"a","title":"t","visibility":"private"}"#)
            try await chat.create(#"{"id":"b"}"#)
            #expect(try await chat.send(.get, "/v1/conversations/a").json["visibility"]?.string == "private")
            #expect(try await chat.send(.delete, "/v1/conversations/a?permanent=true").status == 204)
            #expect(try await chat.send(.get, "/v1/conversations/a").status == 404)
            let all = try await chat.send(.delete, "/v1/conversations?all=true&permanent=true").json
            #expect(all["conversations"]?.integer == 1)
            #expect(try await chat.rows("conversations") == 0)
        }
    }

    @Test("Seed002: getChatsByUserId with limit, startingAfter and endingBefore", arguments: TestEngine.allCases)
    func seed002ChatPages(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for id in ["a", "b", "c", "d"] {
                clock.advance(.seconds(1))
                try await chat.create(#"{"id":"\#(id)"}"#)
            }
            let first = try await chat.send(.get, "/v1/conversations?limit=2")
            #expect(try Self.ids(first) == ["d", "c"])
            let after = try #require(try first.json["next_cursor"]?.string)
            let second = try await chat.send(.get, "/v1/conversations?limit=2&after=\(after)")
            #expect(try Self.ids(second) == ["b", "a"])
            let before = try #require(try second.json["prev_cursor"]?.string)
            #expect(
                try Self.ids(try await chat.send(.get, "/v1/conversations?limit=2&before=\(before)")) == ["d", "c"]
            )
        }
    }

    @Test("Seed002: updateChatVisibilityById, updateChatTitleById", arguments: TestEngine.allCases)
    func seed002ChatUpdates(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"made up"}]}"#)
            let path = "/v1/conversations/c"
            #expect(try await chat.send(.patch, path, #"{"visibility":"public"}"#).status == 200)
            let titled = try await chat.send(.patch, path, #"{"title":"Mine"}"#).json
            #expect(titled["visibility"]?.string == "public")
            try await chat.append(#"{"role":"user","content":"another"}"#, to: "c")
            #expect(try await chat.send(.get, path).json["title"]?.string == "Mine")
        }
    }

    @Test("Seed002: voteMessage is an upsert, getVotesByChatId lists", arguments: TestEngine.allCases)
    func seed002Votes(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"assistant","content":"x","id":"m"}]}"#)
            for value in ["up", "down"] {
                let answer = try await chat.send(
                    .put,
                    "/v1/conversations/c/messages/m/vote",
                    #"{"value":"\#(value)"}"#
                )
                #expect(answer.status == 200)
            }
            let votes = try await chat.send(.get, "/v1/conversations/c/votes").json["data"]?.array
            #expect(votes?.map { $0["value"]?.string } == ["down"])
        }
    }

    @Test("Seed003: ten newest conversations, pages of 20 by number, and a count", arguments: TestEngine.allCases)
    func seed003Pages(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create()
            try await chat.fill(44)
            #expect(try Self.ids(try await chat.send(.get, "/v1/conversations?limit=10")).count == 10)
            let third = try await chat.send(.get, "/v1/conversations?limit=20&page=3&count=true")
            #expect(try Self.ids(third).count == 5)
            #expect(try third.json["total"]?.integer == 45)
        }
    }

    @Test("Seed003: a conversation without a title, with nested messages and metadata", arguments: TestEngine.allCases)
    func seed003Nested(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let row = try await chat.create(
                #"{"metadata":{"temperature":0.7},"messages":[{"role":"SYSTEM","content":"s"},{"role":"ASSISTANT","content":"a"}]}"#
            )
            #expect(row["title"]?.isNull == true)
            #expect(row["metadata"]?.raw == #"{"temperature":0.7}"#)
            #expect(row["messages"]?.array?.count == 2)
        }
    }

    @Test("Seed003: archived, archivedAt and reason are merged in, tags are set", arguments: TestEngine.allCases)
    func seed003Archive(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","metadata":{"kept":1}}"#)
            let row = try await chat.send(
                .patch,
                "/v1/conversations/c",
                #"{"archived":true,"archive_reason":"done","metadata":{"added":2}}"#
            ).json
            #expect(row["archived_at"]?.string != nil)
            #expect(row["archive_reason"]?.string == "done")
            #expect(row["metadata"]?.raw == #"{"kept":1,"added":2}"#)
            _ = try await chat.send(.put, "/v1/conversations/c/tags", #"{"tags":["work","ideas"]}"#)
            let listed = try await chat.send(.get, "/v1/conversations?archived=true&tag=ideas")
            #expect(try Self.ids(listed) == ["c"])
        }
    }

    @Test(
        "Seed004: sessions (conversations) of a user, and deleting one with its messages",
        arguments: TestEngine.allCases
    )
    func seed004Cascade(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"x"}]}"#)
            #expect(try Self.ids(try await chat.send(.get, "/v1/conversations")) == ["c"])
            #expect(try await chat.send(.delete, "/v1/conversations/c?permanent=true").status == 204)
            #expect(try await chat.rows("messages") == 0)
        }
    }
}
