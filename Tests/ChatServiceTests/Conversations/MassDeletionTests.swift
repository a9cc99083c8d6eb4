// Deleting many conversations: what is chosen goes, and nothing else.
import ChatService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Mass deletion")
struct MassDeletionTests {
    /// The ids of what a person has, sorted.
    private static func ids(_ chat: Chat, _ query: String = "", as user: String = "owner") async throws -> [String] {
        let pages = try await chat.pages("/v1/conversations?limit=100\(query)", as: user)
        return pages.flatMap { $0 }.compactMap { $0["id"]?.string }.sorted()
    }

    private static func delete(_ chat: Chat, _ query: String) async throws -> Int64? {
        let answer = try await chat.send(.delete, "/v1/conversations?\(query)")
        return try answer.status == 200 ? answer.json["conversations"]?.integer : nil
    }

    /// Dates a conversation.
    private static func date(_ chat: Chat, _ id: String, _ column: String, _ instant: Instant) async throws {
        let statement = Statement(
            "test.date_\(column)",
            .writes,
            ["instant": .instant, "id": .text],
            "UPDATE conversations SET \(column) = :instant WHERE id = :id"
        )
        _ = try await chat.database.run(statement.bind(["instant": instant, "id": id]))
    }

    @Test("a request that does not say which deletes nothing", arguments: TestEngine.allCases)
    func mustSay(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"a"}"#)
            for query in [
                "", "permanent=true", "all=false", "all=false&permanent=true", "all=true&tag=x",
                "all=true&archived=false",
                "all=true&before=2030-01-01T00:00:00Z", "tag=", "before=", "archived=perhaps", "all=", "all=true&x=1",
                "all=true&all=true", "permanent=true&tag=x",
            ] {
                let answer = try await chat.send(.delete, "/v1/conversations?\(query)")
                #expect(answer.status == 400, "\(query): \(answer.text)")
            }
            #expect(try await Self.ids(chat) == ["a"])
        }
    }

    @Test("what is dated in the future goes with all, live or in the trash", arguments: TestEngine.allCases)
    func future(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let far = try #require(Instant(rfc3339: "2999-01-01T00:00:00Z"))
            for id in ["a", "b", "c", "d"] { try await chat.create(#"{"id":"\#(id)"}"#) }
            try await Self.date(chat, "a", "created_at", far)
            try await Self.date(chat, "b", "updated_at", far)
            #expect(try await chat.send(.delete, "/v1/conversations/c").status == 204)
            try await Self.date(chat, "c", "deleted_at", far)
            #expect(try await Self.delete(chat, "all=true") == 3)
            #expect(try await Self.ids(chat).isEmpty)
            #expect(try await Self.delete(chat, "all=true&permanent=true") == 4)
            #expect(try await chat.rows("conversations") == 0)
        }
    }

    @Test("a filter chooses, and every filter that is there must hold", arguments: TestEngine.allCases)
    func filters(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for id in ["a", "b", "c", "d"] { try await chat.create(#"{"id":"\#(id)"}"#) }
            try await chat.create(#"{"id":"theirs"}"#, as: "stranger")
            for (id, user) in [("a", "owner"), ("b", "owner"), ("theirs", "stranger")] {
                #expect(try await chat.send(.put, "/v1/conversations/\(id)/tags/Old", as: user).status == 200)
            }
            for id in ["b", "c"] {
                let patch = try await chat.send(.patch, "/v1/conversations/\(id)", as: "owner", #"{"archived":true}"#)
                #expect(patch.status == 200)
            }
            #expect(try await Self.delete(chat, "tag=new") == 0)
            #expect(try await Self.delete(chat, "before=1999-01-01T00:00:00Z") == 0)
            #expect(try await Self.delete(chat, "tag=OLD&archived=true") == 1)
            #expect(try await Self.ids(chat) == ["a", "c", "d"])
            #expect(try await Self.delete(chat, "archived=true") == 1)
            #expect(try await Self.ids(chat) == ["a", "d"])
            #expect(try await Self.delete(chat, "tag=old&archived=false&before=2999-01-01T00:00:00%2B05:30") == 1)
            #expect(try await Self.ids(chat) == ["d"])
            // For good: of the trash what has the tag, and nothing else.
            #expect(try await Self.delete(chat, "permanent=true&tag=old") == 2)
            #expect(try await Self.ids(chat, "&trash=true") == ["c"])
            #expect(try await Self.delete(chat, "permanent=true&archived=false") == 1)
            #expect(try await Self.ids(chat).isEmpty)
            #expect(try await Self.ids(chat, as: "stranger") == ["theirs"])
        }
    }

    @Test("batches follow one another past what is not chosen", arguments: TestEngine.allCases)
    func batches(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"a"}"#)
            try await chat.fill(1300)
            #expect(try await Self.delete(chat, "archived=true") == 0)
            #expect(try await Self.delete(chat, "archived=false&before=2999-01-01T00:00:00Z") == 1301)
            #expect(try await Self.ids(chat).isEmpty)
        }
    }
}
