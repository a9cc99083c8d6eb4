import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Messages")
struct MessageTests {
    @Test("plain content comes back as content and as one text part", arguments: TestEngine.allCases)
    func content(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let path = "/v1/conversations/\(id)/messages"
            let body = #"{"role":"USER","content":"Häll\n\"o\" 🜁","model":"m","metadata":{"k": [1,  2]}}"#
            let answer = try await chat.send(.post, path, body)
            #expect(answer.status == 201)
            #expect(answer.headers[.eTag] == "\"v1\"")
            let message = try answer.json
            let messageID = try #require(message["id"]?.string)
            #expect(answer.headers[.location] == "\(path)/\(messageID)")
            #expect(message["role"]?.string == "user")
            #expect(message["type"]?.string == "normal")
            #expect(message["status"]?.string == "completed")
            #expect(message["content"]?.string == "Häll\n\"o\" 🜁")
            #expect(message["parts"]?.raw == #"[{"type":"text","text":"Häll\n\"o\" 🜁"}]"#)
            #expect(message["metadata"]?.raw == #"{"k": [1,  2]}"#)
            #expect(message["tokens_total"]?.isNull == true)
            #expect(try await chat.send(.get, "\(path)/\(messageID)").text == answer.text)
        }
    }

    @Test("parts are kept byte for byte, types nobody knows included", arguments: TestEngine.allCases)
    func parts(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let parts = """
                [ {"type":"text","text":"a\\u00e9\\/b"},\n\t{"type":"x-hologram" , "n":1.0e+2, "z":{"deep":[null,true]}},
                {"text":"second","type":"text"} ,{"type":"tool-call","args":{}}]
                """
            let message = try await chat.append(#"{"role":"assistant","parts":\#(parts),"type":"tool_call"}"#, to: id)
            #expect(message["parts"]?.raw == parts)
            #expect(message["content"]?.string == "aé/b\nsecond")
            let read = try await chat.messages(id)
            #expect(read.first?["parts"]?.raw == parts)
            let empty = try await chat.append(#"{"role":"assistant","parts":[],"status":"in_progress"}"#, to: id)
            #expect(empty["content"]?.isNull == true)
            #expect(empty["parts"]?.raw == "[]")
        }
    }

    @Test("a message of nearly a mebibyte comes back unchanged", arguments: TestEngine.allCases)
    func large(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let text = String(repeating: "0123456789abcdef", count: 65_500)
            try await chat.append(#"{"role":"user","content":"\#(text)"}"#, to: id)
            #expect(try await chat.messages(id).first?["content"]?.string == text)
        }
    }

    @Test("a batch is appended whole, in order, each after the one before", arguments: TestEngine.allCases)
    func batch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let first = try await chat.append(#"{"role":"system","content":"0"}"#, to: id)
            let items = (1...100).map { #"{"role":"user","content":"\#($0)","id":"m-\#($0)"}"# }
            let answer = try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            let data = try #require(answer["data"]?.array)
            #expect(data.compactMap { $0["seq"]?.integer } == Array(2...101))
            #expect(data[0]["parent_id"]?.string == first["id"]?.string)
            #expect(data[99]["parent_id"]?.string == "m-99")
            try await chat.expectSound(id, count: 101)
        }
    }

    @Test("a batch with an id that exists leaves nothing, wherever that id is", arguments: TestEngine.allCases)
    func duplicateInBatch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let other = try await chat.conversation(as: "stranger")
            try await chat.append(#"{"role":"user","content":"x","id":"theirs"}"#, to: other, as: "stranger")
            let id = try await chat.conversation()
            try await chat.append(#"{"role":"user","content":"x","id":"mine","tokens_in":5}"#, to: id)
            let before = try await chat.send(.get, "/v1/conversations/\(id)").text
            for taken in ["mine", "theirs"] {
                for place in 0..<3 {
                    let items = (0..<3).map {
                        #"{"role":"user","content":"y","tokens_in":7,"id":"\#($0 == place ? taken : "new-\($0)")"}"#
                    }
                    let answer = try await chat.send(
                        .post,
                        "/v1/conversations/\(id)/messages",
                        #"{"messages":[\#(items.joined(separator: ","))]}"#
                    )
                    #expect(answer.status == 409)
                    #expect(answer.code == "id_taken")
                }
                let single = try await chat.send(
                    .post,
                    "/v1/conversations/\(id)/messages",
                    #"{"role":"user","content":"y","id":"\#(taken)"}"#
                )
                #expect(single.code == "id_taken")
            }
            #expect(try await chat.send(.get, "/v1/conversations/\(id)").text == before)
            try await chat.expectSound(id, count: 1)
            try await chat.expectSound(other, count: 1, as: "stranger")
            #expect(try await chat.leftovers() == 0)
            #expect(try await Self.tokensTotal(chat, "owner") == 5)
        }
    }

    @Test("parents are messages of the same conversation", arguments: TestEngine.allCases)
    func parents(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let other = try await chat.conversation()
            try await chat.append(#"{"role":"user","content":"x","id":"elsewhere"}"#, to: other)
            let id = try await chat.conversation()
            let path = "/v1/conversations/\(id)/messages"
            try await chat.append(#"{"role":"user","content":"q","id":"q"}"#, to: id)
            try await chat.append(#"{"role":"assistant","content":"a","id":"a"}"#, to: id)
            let sibling = try await chat.append(#"{"role":"assistant","content":"b","id":"b","parent_id":"q"}"#, to: id)
            #expect(sibling["parent_id"]?.string == "q")
            let next = try await chat.append(#"{"role":"user","content":"c"}"#, to: id)
            #expect(next["parent_id"]?.string == "b")
            let root = try await chat.append(#"{"role":"user","content":"d","parent_id":null}"#, to: id)
            #expect(root["parent_id"]?.isNull == true)
            for parent in ["elsewhere", "nowhere"] {
                let answer = try await chat.send(
                    .post,
                    path,
                    #"{"role":"user","content":"x","parent_id":"\#(parent)"}"#
                )
                #expect(answer.status == 400)
                #expect(answer.violations == ["parent_id invalid"])
            }
            let batch = try await chat.send(
                .post,
                path,
                #"{"messages":[{"role":"user","content":"1","id":"n1"},{"role":"user","content":"2","parent_id":"elsewhere"}]}"#
            )
            #expect(batch.violations == ["messages[1].parent_id invalid"])
            let within = try await chat.append(
                #"{"messages":[{"role":"user","content":"1","id":"n1","parent_id":"q"},{"role":"user","content":"2"},{"role":"user","content":"3","parent_id":"n1"}]}"#,
                to: id
            )
            #expect(within["data"]?.array?[2]["parent_id"]?.string == "n1")
            try await chat.expectSound(id, count: 8)
        }
    }

    @Test("tokens are counted on the conversation and the principal", arguments: TestEngine.allCases)
    func tokens(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","tokens_in":1}]}"#)
            try await chat.append(
                #"{"messages":[{"role":"user","content":"x","tokens_in":10},{"role":"assistant","content":"y","tokens_in":20,"tokens_out":300,"tokens_total":325}]}"#,
                to: id
            )
            let row = try await chat.send(.get, "/v1/conversations/\(id)").json
            #expect(row["tokens_in"]?.integer == 31)
            #expect(row["tokens_out"]?.integer == 300)
            #expect(try await Self.tokensTotal(chat, "owner") == 336)
        }
    }

    @Test("messages are paged by number in both orders and both directions", arguments: TestEngine.allCases)
    func paging(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let items = (1...23).map { #"{"role":"user","content":"\#($0)"}"# }
            try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            let path = "/v1/conversations/\(id)/messages"
            for limit in [1, 5, 23, 100] {
                let up = try await chat.pages("\(path)?limit=\(limit)").flatMap { $0 }.compactMap { $0["seq"]?.integer }
                #expect(up == Array(1...23))
                let down = try await chat.pages("\(path)?order=desc&limit=\(limit)").flatMap { $0 }
                #expect(down.compactMap { $0["seq"]?.integer } == Array((1...23).reversed()))
            }
            for (order, first) in [("asc", Array(1...5)), ("desc", [23, 22, 21, 20, 19])] as [(String, [Int64])] {
                let page = try await chat.send(.get, "\(path)?order=\(order)&limit=5&count=true").json
                #expect(page["total"]?.integer == 23)
                #expect(page["prev_cursor"]?.isNull == true)
                let after = try #require(page["next_cursor"]?.string)
                let next = try await chat.send(.get, "\(path)?order=\(order)&limit=5&after=\(after)").json
                let before = try #require(next["prev_cursor"]?.string)
                let back = try await chat.send(.get, "\(path)?order=\(order)&limit=5&before=\(before)").json
                #expect(back["data"]?.array?.compactMap { $0["seq"]?.integer } == first)
                #expect(back["has_more"]?.boolean == false)
                let all = order == "asc" ? Array(1...23) : Array((1...23).reversed())
                for number in 1...6 {
                    let numbered = try await chat.send(.get, "\(path)?order=\(order)&limit=5&page=\(number)").json
                    let seen = numbered["data"]?.array?.compactMap { $0["seq"]?.integer }
                    #expect(seen == Array(all.dropFirst(5 * (number - 1)).prefix(5)).map(Int64.init), "\(number)")
                    #expect(numbered["has_more"]?.boolean == (number < 5))
                }
            }
        }
    }

    @Test(
        "the first user message gives the title, and a person's title is never replaced",
        arguments: TestEngine.allCases
    )
    func automaticTitle(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let nested = try await chat.create(
                #"{"messages":[{"role":"system","content":"Be kind"},{"role":"user","content":"  What \n is  it? "}]}"#
            )
            #expect(nested["title"]?.string == "What is it?")
            #expect(nested["title_source"]?.string == "auto")
            #expect(nested["version"]?.integer == 1)

            let later = "/v1/conversations/\(try await chat.conversation(#"{"id":"later"}"#))"
            try await chat.append(#"{"role":"assistant","content":"Welcome"}"#, to: "later")
            #expect(try await chat.send(.get, later).json["title"]?.isNull == true)
            try await chat.append(#"{"role":"user","content":"First"}"#, to: "later")
            try await chat.append(#"{"role":"user","content":"Second"}"#, to: "later")
            let titled = try await chat.send(.get, later)
            #expect(try titled.json["title"]?.string == "First")
            #expect(titled.headers[.eTag]?.hasPrefix("\"v2-") == true)

            try await chat.create(#"{"id":"named","title":"Mine"}"#)
            try await chat.append(#"{"role":"user","content":"First"}"#, to: "named")
            #expect(try await chat.send(.get, "/v1/conversations/named").json["title"]?.string == "Mine")

            try await chat.create(#"{"id":"cleared"}"#)
            _ = try await chat.send(.patch, "/v1/conversations/cleared", #"{"title":null}"#)
            try await chat.append(#"{"role":"user","content":"First"}"#, to: "cleared")
            #expect(try await chat.send(.get, "/v1/conversations/cleared").json["title"]?.isNull == true)
        }
    }

    @Test("a deleted message is not shown, and its number stays its own", arguments: TestEngine.allCases)
    func tombstones(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"1"},{"role":"user","content":"2","id":"gone"},{"role":"user","content":"3"}]}"#
            )
            let delete = Statement(
                "test.delete",
                .writes,
                ["id": .text, "at": .instant],
                "UPDATE messages SET deleted_at = :at WHERE id = :id"
            )
            _ = try await chat.database.run(delete.bind(["id": "gone", "at": Instant(seconds: 1)]))
            #expect(try await chat.messages(id).compactMap { $0["seq"]?.integer } == [1, 3])
            #expect(try await chat.send(.get, "/v1/conversations/\(id)/messages/gone").status == 404)
            let body = #"{"role":"user","content":"x","parent_id":"gone"}"#
            #expect(
                try await chat.send(.post, "/v1/conversations/\(id)/messages", body).violations == ["parent_id invalid"]
            )
            #expect(try await chat.append(#"{"role":"user","content":"4"}"#, to: id)["seq"]?.integer == 4)
        }
    }

    private static func tokensTotal(_ chat: Chat, _ user: String) async throws -> Int64 {
        let statement = Statement(
            "test.tokens",
            .reads,
            ["id": .text],
            "SELECT tokens_total FROM principals WHERE id = :id"
        )
        return try #require(try await chat.database.run(statement.bind(["id": user])).first).integer("tokens_total")
    }
}
