// The columns of docs/schema-mapping.md that chat reads: each is changed past the API, and what reads it answers so.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Columns of chat in the mapping")
struct MappedColumnTests {
    private static let at = Instant(seconds: 1_700_000_000)

    /// Sets a column of the table's only row.
    private static func set(_ chat: Chat, _ table: String, _ column: String, _ value: any SQLBindable) async throws {
        #expect(try await chat.database.execute("UPDATE \(table) SET \(column) = :value", ["value": value]) == 1)
    }

    @Test("a conversation's columns are the members of these names", arguments: TestEngine.allCases)
    func conversation(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","title":"a","model":"b","slug":"s"}"#)
            func read(_ member: String) async throws -> JSONElement? {
                let answer = try await chat.send(.get, "/v1/conversations/c").json
                #expect(answer["id"]?.string == "c" && answer["owner_id"]?.string == "owner")
                return answer[member]
            }
            for (column, text) in [
                ("title", "x"), ("title_source", "import"), ("model", "y"), ("slug", "z"), ("archive_reason", "w"),
            ] {
                #expect(try await read(column)?.string != text)
                try await Self.set(chat, "conversations", column, text)
                #expect(try await read(column)?.string == text, "\(column)")
            }
            for column in ["archived_at", "created_at", "updated_at"] {
                try await Self.set(chat, "conversations", column, Self.at)
                #expect(try await read(column)?.string.flatMap { Instant(rfc3339: $0) } == Self.at, "\(column)")
            }
            for column in ["settings", "metadata"] {
                try await Self.set(chat, "conversations", column, #"{"x": 1.0}"#)
                #expect(try await read(column)?.raw == #"{"x": 1.0}"#, "\(column)")
            }
        }
    }

    @Test("a message's columns are the members of these names", arguments: TestEngine.allCases)
    func message(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"id":"m","role":"user","content":"a"}]}"#)
            func read(_ member: String) async throws -> JSONElement? {
                let answer = try await chat.send(.get, "/v1/conversations/c/messages/m").json
                #expect(answer["id"]?.string == "m" && answer["conversation_id"]?.string == "c")
                return answer[member]
            }
            for (column, member, text) in [
                ("role", "role", "tool"), ("type", "type", "error"), ("model", "model", "x"),
                ("content_text", "content", "y"),
            ] {
                #expect(try await read(member)?.string != text)
                try await Self.set(chat, "messages", column, text)
                #expect(try await read(member)?.string == text, "\(column)")
            }
            try await Self.set(chat, "messages", "tokens_total", Int64(77))
            #expect(try await read("tokens_total")?.integer == 77)
            for column in ["created_at", "updated_at"] {
                try await Self.set(chat, "messages", column, Self.at)
                #expect(try await read(column)?.string.flatMap { Instant(rfc3339: $0) } == Self.at, "\(column)")
            }
            for (column, json) in [("metadata", #"{"x": 1.0}"#), ("parts", #"[{"type":"x"}]"#)] {
                try await Self.set(chat, "messages", column, json)
                #expect(try await read(column)?.raw == json, "\(column)")
            }
        }
    }

    @Test("tags, votes and people are read from these columns", arguments: TestEngine.allCases)
    func others(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"id":"m","role":"user","content":"a"}]}"#)
            let path = "/v1/conversations/c"
            #expect(try await chat.send(.put, "\(path)/tags", #"{"tags":["a"]}"#).status == 200)
            try await Self.set(chat, "tags", "name", "x")
            #expect(try await chat.send(.get, "/v1/tags").json["data"]?.array?.first?["name"]?.string == "x")
            #expect(try await chat.send(.get, path).json["tags"]?.array?.compactMap(\.string) == ["x"])

            #expect(try await chat.send(.put, "\(path)/messages/m/vote", #"{"value":"up"}"#).status == 200)
            try await Self.set(chat, "votes", "value", Int64(-1))
            let vote = try await chat.send(.get, "\(path)/votes").json["data"]?.array?.first
            #expect(vote?["value"]?.string == "down")
            #expect(vote?["message_id"]?.string == "m" && vote?["conversation_id"]?.string == "c")

            let admin: HTTPFields = [
                .authorization: "Bearer \(try chat.tokens.token(for: "root", ["role": #""admin""#]))"
            ]
            func read(_ member: String) async throws -> JSONElement? {
                let path = "/v1/chat/admin/users/owner/data"
                let answer = try await chat.send(.get, path, as: nil, headers: admin).json
                #expect(answer["user_id"]?.string == "owner")
                return answer[member]
            }
            let ofOwner = "WHERE id = 'owner'"
            try await chat.database.execute("UPDATE principals SET tokens_total = 5 \(ofOwner)")
            #expect(try await read("tokens_total")?.integer == 5)
            try await chat.database.execute("UPDATE principals SET first_seen_at = :at \(ofOwner)", ["at": Self.at])
            #expect(try await read("first_seen_at")?.string.flatMap { Instant(rfc3339: $0) } == Self.at)
            try await chat.database.execute("UPDATE principals SET is_active = FALSE \(ofOwner)")
            #expect(try await read("active")?.boolean == false)
        }
    }

    @Test("usage is summed from this column", arguments: TestEngine.allCases)
    func usage(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let answer = #"{"id":"m","role":"assistant","content":"a","model":"big","tokens_out":10}"#
            try await chat.create(#"{"id":"c","messages":[\#(answer)]}"#)
            func total() async throws -> Int64? {
                try await chat.send(.get, "/v1/usage").json["total"]?["tokens_total"]?.integer
            }
            #expect(try await total() == 10)
            try await chat.database.execute("UPDATE usage_totals SET tokens_total = 99 WHERE tokens_total = 10")
            #expect(try await total() == 99)
        }
    }
}
