import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("A sidebar")
struct SidebarTests {
    private static let path = "/v1/conversations?sort=last_message_at"

    private static func ids(_ chat: Chat, _ query: String = "") async throws -> [String] {
        try await chat.pages("\(path)\(query)").flatMap { $0 }.compactMap { $0["id"]?.string }
    }

    @Test(
        "pinned ones come first, then the last message decides; nothing else moves a row",
        arguments: TestEngine.allCases
    )
    func order(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for id in ["a", "b", "c", "d", "e"] {
                let messages = id == "d" ? "" : #","messages":[{"role":"user","content":"text of \#(id)"}]"#
                try await chat.create(#"{"id":"\#(id)","title":"T"\#(messages)}"#)
                clock.advance(.seconds(1))
            }
            _ = try await chat.send(.patch, "/v1/conversations/e", #"{"archived":true}"#)
            #expect(try await Self.ids(chat) == ["d", "c", "b", "a"])
            clock.advance(.seconds(1))
            for (method, path, body) in [
                (.patch, "a", #"{"title":"New","metadata":{"x":1},"settings":{"y":2}}"#),
                (.put, "a/tags", #"{"tags":["t"]}"#),
                (.put, "a/read", #"{"seq":1}"#), (.patch, "b/messages/none", #"{"content":"x"}"#),
            ] as [(HTTPRequest.Method, String, String)] {
                _ = try await chat.send(method, "/v1/conversations/\(path)", body)
                #expect(try await Self.ids(chat) == ["d", "c", "b", "a"], "\(path)")
            }
            _ = try await chat.send(.patch, "/v1/conversations/a", #"{"pinned":true}"#)
            #expect(try await Self.ids(chat) == ["a", "d", "c", "b"])
            _ = try await chat.send(.patch, "/v1/conversations/c", #"{"pinned":true}"#)
            #expect(try await Self.ids(chat) == ["c", "a", "d", "b"])
            try await chat.append(#"{"role":"user","content":"x"}"#, to: "a")
            clock.advance(.seconds(1))
            try await chat.append(#"{"role":"user","content":"x"}"#, to: "b")
            #expect(try await Self.ids(chat) == ["a", "c", "b", "d"])
            // Unpinned, it goes back to where its last message puts it.
            _ = try await chat.send(.patch, "/v1/conversations/c", #"{"pinned":false}"#)
            for limit in 1...5 {
                #expect(try await Self.ids(chat, "&limit=\(limit)") == ["a", "b", "d", "c"], "\(limit)")
            }
            #expect(try await Self.ids(chat, "&pinned=true") == ["a"])
            #expect(try await Self.ids(chat, "&pinned=false&archived=false") == ["b", "d", "c"])
            let counted = try await chat.send(.get, "\(Self.path)&count=true&limit=1").json
            #expect(counted["total"]?.integer == 4)
            _ = try await chat.send(.delete, "/v1/conversations/b")
            #expect(try await Self.ids(chat) == ["a", "d", "c"])
            // Backwards, over the border of the groups.
            let second = try await chat.send(.get, "\(Self.path)&limit=2").json
            let next = try #require(second["next_cursor"]?.string)
            let third = try await chat.send(.get, "\(Self.path)&limit=2&after=\(next)").json
            let back = try #require(third["prev_cursor"]?.string)
            let first = try await chat.send(.get, "\(Self.path)&limit=5&before=\(back)").json
            #expect(first["data"]?.array?.compactMap { $0["id"]?.string } == ["a", "d"])
            #expect(try await chat.send(.get, Self.path, as: "stranger").json["data"]?.array?.isEmpty == true)
        }
    }

    @Test("the last message of each comes with its list", arguments: TestEngine.allCases)
    func last(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let long = String(repeating: "é", count: 300)
            try await chat.create(
                #"{"id":"a","messages":[{"role":"user","content":"x"},{"id":"m","role":"assistant","content":"\#(long)"}]}"#
            )
            try await chat.create(#"{"id":"b"}"#)
            let rows = try await chat.send(.get, "\(Self.path)&include=last_message").json["data"]?.array ?? []
            let last = rows.first { $0["id"]?.string == "a" }?["last_message"]
            #expect(last?["id"]?.string == "m")
            #expect(last?["seq"]?.integer == 2)
            #expect(last?["role"]?.string == "assistant")
            #expect(last?["preview"]?.string == String(repeating: "é", count: 280))
            #expect(rows.first { $0["id"]?.string == "b" }?["last_message"] == nil)
            _ = try await chat.send(.delete, "/v1/conversations/a/messages/m")
            let left = try await chat.send(.get, "\(Self.path)&include=last_message").json["data"]?.array ?? []
            #expect(left.first { $0["id"]?.string == "a" }?["last_message"]?["seq"]?.integer == 1)
            #expect(try await chat.send(.get, Self.path).text.contains("last_message\"") == false)
        }
    }

    @Test("a read marker makes no version, and what is after it is unread", arguments: TestEngine.allCases)
    func marker(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let messages = (1...5).map { #"{"id":"m\#($0)","role":"assistant","content":"x"}"# }.joined(separator: ",")
            let made = try await chat.create(#"{"id":"c","messages":[\#(messages)]}"#)
            #expect(made["unread_count"]?.integer == 5)
            let path = "/v1/conversations/c"
            let before = try await chat.send(.get, path).json
            let changes = try await chat.rows("changes")
            func mark(_ seq: Int) async throws -> String {
                let answer = try await chat.send(.put, "\(path)/read", #"{"seq":\#(seq)}"#)
                #expect(answer.status == 200, "\(answer.text)")
                return "\(try answer.json["read_seq"]?.integer ?? -1) \(try answer.json["unread_count"]?.integer ?? -1)"
            }
            #expect(try await mark(3) == "3 2")
            #expect(try await mark(99) == "5 0")
            #expect(try await mark(1) == "1 4")
            _ = try await chat.send(.delete, "\(path)/messages/m3")
            #expect(try await mark(1) == "1 3")
            #expect(try await mark(4) == "4 1")
            #expect(try await mark(0) == "0 4")
            let after = try await chat.send(.get, path).json
            for member in ["version", "created_at", "title", "last_message_at"] {
                #expect(after[member]?.raw == before[member]?.raw, "\(member)")
            }
            #expect(try await mark(2) == "2 2")
            let row = try await chat.send(.get, Self.path).json["data"]?.array?.first
            #expect(row?["unread_count"]?.integer == 2)
            #expect(row?["updated_at"]?.raw == after["updated_at"]?.raw)
            // Of the deleted message, and of the one below it: marks are no changes.
            #expect(try await chat.rows("changes") == changes + 2)
            try await chat.append(#"{"role":"user","content":"x"}"#, to: "c")
            #expect(try await chat.send(.get, path).json["unread_count"]?.integer == 3)
            for (body, violation) in [
                ("{}", "seq required"), (#"{"seq":-1}"#, "seq out_of_range"), (#"{"seq":"1"}"#, "seq wrong_type"),
                (#"{"seq":1,"x":1}"#, "x unknown_field"),
            ] {
                #expect(try await chat.send(.put, "\(path)/read", body).violations == [violation])
            }
            #expect(try await chat.send(.put, "\(path)/read", as: "stranger", #"{"seq":1}"#).status == 404)
            // A fork has no marker, and neither has a conversation from before there were any.
            let fork = try await chat.send(.post, "\(path)/fork", "{}").json
            #expect(fork["read_seq"]?.isNull == true)
            #expect(fork["unread_count"]?.integer == 0)
        }
    }

    @Test("unread messages are counted up to 1,000", arguments: TestEngine.allCases)
    func bound(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            try await chat.chain(1500, in: id)
            let path = "/v1/conversations/\(id)"
            #expect(try await chat.send(.get, path).json["unread_count"]?.integer == 1000)
            _ = try await chat.send(.delete, "\(path)/messages/\(id)-700")
            _ = try await chat.send(.put, "\(path)/read", #"{"seq":10}"#)
            #expect(try await chat.send(.get, path).json["unread_count"]?.integer == 1000)
            _ = try await chat.send(.put, "\(path)/read", #"{"seq":600}"#)
            #expect(try await chat.send(.get, path).json["unread_count"]?.integer == 899)
        }
    }

    @Test(
        "what the sidebar does not combine is refused by name",
        arguments: [
            ("sort=last_message_at&tag=x", "tag invalid"), ("sort=last_message_at&q=x", "q invalid"),
            ("sort=last_message_at&page=2", "page invalid"), ("sort=last_message_at&archived=true", "archived invalid"),
            ("include=last_message", "include invalid"), ("sort=title", "sort invalid"),
            ("trash=true&sort=last_message_at", "sort invalid"),
        ]
    )
    func refused(query: String, violation: String) async throws {
        try await withChat(.sqlite) { chat async throws in
            #expect(try await chat.send(.get, "/v1/conversations?\(query)").violations == [violation])
            let cursor = try await chat.send(.get, "/v1/conversations?sort=last_message_at&after=x")
            #expect(cursor.code == "invalid_cursor")
        }
    }
}
