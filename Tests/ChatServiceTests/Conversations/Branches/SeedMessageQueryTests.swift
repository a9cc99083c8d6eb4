// The message queries of the five source schemas, by the schemas' names.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Queries of the source schemas: messages")
struct SeedMessageQueryTests {
    @Test(
        "000 insert message (chatId, role, content); chat by id with messages by createdAt",
        arguments: TestEngine.allCases
    )
    func schema000(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"Tides"}"#)
            for (role, text) in [("user", "What makes the tides?"), ("assistant", "Mostly the moon."), ("system", "s")]
            {
                try await chat.append(#"{"role":"\#(role)","content":"\#(text)"}"#, to: id)
            }
            let row = try await chat.send(.get, "/v1/conversations/\(id)?include=messages").json
            #expect(row["title"]?.string == "Tides")
            let messages = try #require(row["messages"]?.array)
            #expect(messages.compactMap { $0["role"]?.string } == ["user", "assistant", "system"])
            #expect(
                messages.compactMap { $0["content"]?.string } == ["What makes the tides?", "Mostly the moon.", "s"]
            )
            let times = messages.compactMap { $0["created_at"]?.string }
            #expect(times == times.sorted())
        }
    }

    @Test(
        "001 create chat and first message in one call; chat by id and userId with its messages",
        arguments: TestEngine.allCases
    )
    func schema001(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let made = try await chat.create(
                #"{"model":"m-1","messages":[{"role":"USER","type":"NORMAL","content":"Hello there"}]}"#
            )
            #expect(made["messages"]?.array?.first?["role"]?.string == "user")
            #expect(made["title"]?.string == "Hello there")
            let id = try #require(made["id"]?.string)
            for type in ["ERROR", "TOOL_CALL"] {
                let message = try await chat.append(
                    #"{"role":"ASSISTANT","type":"\#(type)","content":"x","model":"m-2"}"#,
                    to: id
                )
                #expect(message["type"]?.string == type.lowercased())
                #expect(message["model"]?.string == "m-2")
            }
            let own = try await chat.send(.get, "/v1/conversations/\(id)?include=messages").json
            #expect(own["messages"]?.array?.count == 3)
            #expect(try await chat.send(.get, "/v1/conversations/\(id)?include=messages", as: "stranger").status == 404)
        }
    }

    @Test("002 saveMessages, getMessagesByChatId, getMessageById, updateMessage", arguments: TestEngine.allCases)
    func schema002(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            // Messages of one turn may share a time; their numbers order them.
            let parts = #"[{"type":"step-start"},{"type":"tool-search","input":{"q":"x"}},{"type":"text","text":"y"}]"#
            let saved = try await chat.append(
                #"{"messages":[{"id":"u","role":"user","parts":[{"type":"text","text":"q"}]},{"id":"a","role":"assistant","parts":\#(parts)}]}"#,
                to: id
            )
            #expect(saved["data"]?.array?.count == 2)
            let path = "/v1/conversations/\(id)/messages"
            #expect(try await chat.ids(path) == ["u", "a"])
            #expect(try await chat.send(.get, "\(path)/a").json["parts"]?.raw == parts)
            let changed = #"[{"type":"text","text":"z"}]"#
            #expect(try await chat.send(.patch, "\(path)/a", #"{"parts":\#(changed)}"#).json["parts"]?.raw == changed)
            #expect(try await chat.send(.get, "\(path)?count=true").json["total"]?.integer == 2)
        }
    }

    @Test("002 deleteMessagesByChatIdAfterTimestamp: a message and all after it", arguments: TestEngine.allCases)
    func schema002Trailing(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let items = (1...6).map { #"{"id":"m\#($0)","role":"user","content":"\#($0)"}"# }
            let id = try await chat.conversation(#"{"messages":[\#(items.joined(separator: ","))]}"#)
            let path = "/v1/conversations/\(id)/messages"
            let seq = try #require(try await chat.send(.get, "\(path)/m4").json["seq"]?.integer)
            #expect(try await chat.send(.delete, "\(path)?after_seq=\(seq - 1)").json["deleted"]?.integer == 3)
            #expect(try await chat.ids(path) == ["m1", "m2", "m3"])
        }
    }

    @Test("003 history: the last 50, oldest first, and the pages before them", arguments: TestEngine.allCases)
    func schema003Last50(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            for batch in 0..<2 {
                let items = (1...60).map { #"{"role":"user","content":"\#(batch * 60 + $0)"}"# }
                try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            }
            let path = "/v1/conversations/\(id)/messages"
            for query in ["last=50", "leaf=head&last=50"] {
                let page = try await chat.send(.get, "\(path)?\(query)").json
                #expect(page["data"]?.array?.compactMap { $0["seq"]?.integer } == Array(71...120))
                #expect(page["has_more"]?.boolean == true)
                let before = try #require(page["prev_cursor"]?.string)
                let leaf = query.hasPrefix("leaf") ? "leaf=head&" : ""
                let older = try await chat.send(.get, "\(path)?\(leaf)limit=50&before=\(before)").json
                #expect(older["data"]?.array?.compactMap { $0["seq"]?.integer } == Array(21...70))
            }
            #expect(try await chat.send(.get, "\(path)?last=50&count=true").json["total"]?.integer == 120)
            // Fewer than the limit are all.
            let few = try await chat.conversation(#"{"messages":[{"role":"user","content":"x"}]}"#)
            let all = try await chat.send(.get, "/v1/conversations/\(few)/messages?last=50").json
            #expect(all["data"]?.array?.count == 1)
            #expect(all["has_more"]?.boolean == false)
        }
    }

    @Test("003 createMany with tokens, and totalTokensUsed incremented by them", arguments: TestEngine.allCases)
    func schema003Batch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"metadata":{"model":"m","temperature":0.7}}"#)
            let items = (1...100).map {
                #"{"role":"user","content":"x","tokens_total":\#($0),"metadata":{"n":\#($0)}}"#
            }
            let made = try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            #expect(made["data"]?.array?.compactMap { $0["tokens_total"]?.integer } == Array(1...100))
            #expect(try await chat.tokensTotal("owner") == 5050)
            let more = try await chat.send(
                .post,
                "/v1/conversations/\(id)/messages",
                #"{"messages":[\#((items + items.prefix(1)).joined(separator: ","))]}"#
            )
            #expect(more.violations == ["messages out_of_range"])
        }
    }

    @Test(
        "004 messages of a session by time, with role and model_name; deleted with their session",
        arguments: TestEngine.allCases
    )
    func schema004(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"Session"}"#)
            try await chat.append(#"{"role":"user","content":"x"}"#, to: id)
            try await chat.append(#"{"role":"assistant","content":"y","model":"gpt"}"#, to: id)
            let messages = try await chat.messages(id)
            #expect(messages.compactMap { $0["role"]?.string } == ["user", "assistant"])
            #expect(messages.map { $0["model"]?.string } == [nil, "gpt"])
            let delete = Statement(
                "test.delete_conversation",
                .writes,
                ["id": .text],
                "DELETE FROM conversations WHERE id = :id"
            )
            _ = try await chat.database.run(delete.bind(["id": id]))
            let rows = Statement("test.left", .reads, "SELECT id FROM messages")
            #expect(try await chat.database.run(rows.bind()).isEmpty)
        }
    }
}
