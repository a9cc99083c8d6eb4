import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Leaves of branches")
struct BranchLeafTests {
    /// q1 ─ a1 ─ q2 ─ a2, and a1b (with q3 ─ a3) and a1c beside a1; the head is a1c.
    private static func tree(_ chat: Chat) async throws -> String {
        try await chat.create(#"{"id":"c","messages":[{"id":"q1","role":"user","content":"tides one"}]}"#)
        for (id, parent) in [
            ("a1", "q1"), ("q2", "a1"), ("a1b", "q1"), ("q3", "a1b"), ("a3", "q3"), ("a2", "q2"), ("a1c", "q1"),
        ] {
            let role = id.hasPrefix("q") ? "user" : "assistant"
            try await chat.append(
                #"{"id":"\#(id)","parent_id":"\#(parent)","role":"\#(role)","content":"tides \#(id)"}"#,
                to: "c"
            )
        }
        return "/v1/conversations/c"
    }

    private static func ids(_ answer: Answer) throws -> [String] {
        try answer.json["data"]?.array?.compactMap { $0["id"]?.string } ?? []
    }

    @Test("siblings carry the newest leaf below them, and the head descends to it", arguments: TestEngine.allCases)
    func siblings(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = try await Self.tree(chat)
            for (message, previous, next) in [
                ("a1", nil, "a3"), ("a1b", "a2", "a1c"), ("a1c", "a3", nil), ("q2", nil, nil),
            ] as [(String, String?, String?)] {
                let single = try await chat.send(.get, "\(path)/messages/\(message)?include=siblings").json
                let page = try await chat.send(.get, "\(path)/messages?leaf=\(message)&include=siblings").json
                let all = try await chat.send(.get, "\(path)/messages?include=siblings").json
                let ofPage = page["data"]?.array?.last?["siblings"]
                let ofAll = all["data"]?.array?.first { $0["id"]?.string == message }?["siblings"]
                for siblings in [single["siblings"], ofPage, ofAll] {
                    #expect(siblings?["previous_leaf_id"]?.string == previous, "\(message)")
                    #expect(siblings?["next_leaf_id"]?.string == next, "\(message)")
                }
            }
            for (head, descend, expected) in [
                ("a1", false, "a1"), ("a1", true, "a2"), ("a1b", true, "a3"), ("a1c", true, "a1c"), ("q1", true, "a1c"),
            ] {
                let body = #"{"head_message_id":"\#(head)","descend":\#(descend)}"#
                let answer = try await chat.send(.patch, path, body)
                #expect(try answer.json["head_message_id"]?.string == expected, "\(answer.text)")
            }
            for (body, violation) in [
                (#"{"descend":true}"#, "descend invalid"),
                (#"{"head_message_id":"q1","descend":1}"#, "descend wrong_type"),
                (#"{"head_message_id":"none","descend":true}"#, "head_message_id invalid"),
            ] {
                #expect(try await chat.send(.patch, path, body).violations == [violation])
            }
            // What was deleted is no leaf.
            #expect(try await chat.send(.delete, "\(path)/messages/a3").status == 204)
            let left = try await chat.send(.get, "\(path)/messages/a1?include=siblings").json
            #expect(left["siblings"]?["next_leaf_id"]?.string == "q3")
        }
    }

    @Test("around a message there is its branch, and both cursors follow it", arguments: TestEngine.allCases)
    func around(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = try await Self.tree(chat) + "/messages"
            // a1 is not on the branch that is shown: its own newest leaf is a2.
            let page = try await chat.send(.get, "\(path)?around=a1&limit=2")
            #expect(try Self.ids(page) == ["a1", "q2"])
            #expect(try page.json["leaf_id"]?.string == "a2")
            #expect(try page.json["has_more"]?.boolean == true)
            let next = try #require(try page.json["next_cursor"]?.string)
            let previous = try #require(try page.json["prev_cursor"]?.string)
            for leaf in ["a2", "head"] {
                #expect(try Self.ids(try await chat.send(.get, "\(path)?leaf=\(leaf)&after=\(next)")) == ["a2"])
                #expect(try Self.ids(try await chat.send(.get, "\(path)?leaf=\(leaf)&before=\(previous)")) == ["q1"])
            }
            let whole = try await chat.send(.get, "\(path)?around=q3&include=siblings")
            #expect(try Self.ids(whole) == ["q1", "a1b", "q3", "a3"])
            #expect(try whole.json["next_cursor"]?.isNull == true)
            #expect(try whole.json["prev_cursor"]?.isNull == true)
            #expect(try whole.json["has_more"]?.boolean == false)
            // On the branch that is shown, that one is followed.
            #expect(try Self.ids(try await chat.send(.get, "\(path)?around=q1")) == ["q1", "a1c"])
            #expect(try Self.ids(try await chat.send(.get, "\(path)?around=q1&limit=1")) == ["q1"])
            for (query, violation) in [
                ("around=q1&leaf=head", "around invalid"), ("around=q1&last=5", "around invalid"),
                ("around=q1&order=desc", "around invalid"), ("around=q1&after=x", "around invalid"),
                ("around=q1&count=true", "count invalid"), ("around=../x", "around invalid"),
            ] {
                #expect(try await chat.send(.get, "\(path)?\(query)").violations == [violation], "\(query)")
            }
            #expect(try await chat.send(.get, "\(path)?around=none").status == 404)
            #expect(try await chat.send(.get, "\(path)?around=q1", as: "stranger").status == 404)
            try await chat.create(#"{"id":"d"}"#)
            #expect(try await chat.send(.get, "/v1/conversations/d/messages?around=q1").status == 404)
        }
    }

    @Test("a hit says whether it is on the branch that is shown, and its leaf", arguments: TestEngine.allCases)
    func hits(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            _ = try await Self.tree(chat)
            let hits = try await chat.send(.get, "/v1/search?q=tides&limit=50").json["data"]?.array ?? []
            var seen: [String: String] = [:]
            for hit in hits where hit["type"]?.string == "message" {
                seen[hit["id"]?.string ?? ""] = "\(hit["on_head_branch"]?.raw ?? "-") \(hit["leaf_id"]?.string ?? "-")"
            }
            #expect(
                seen == [
                    "q1": "true a1c", "a1c": "true a1c", "a1": "false a2", "q2": "false a2", "a2": "false a2",
                    "a1b": "false a3", "q3": "false a3", "a3": "false a3",
                ]
            )
            let title = hits.first { $0["type"]?.string == "conversation" }
            #expect(title != nil && title?["leaf_id"] == nil)
        }
    }

    @Test(
        "on a chain of 20,000 with a sibling each, leaves are found and looked up in few rows",
        arguments: TestEngine.allCases
    )
    func long(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"id":"big"}"#)
            let count = 20_000
            // Every second number is a sibling without children; the chain goes on from the other one.
            let fill = Statement(
                "test.siblings",
                .writes,
                ["at": .instant],
                """
                INSERT INTO messages (id, conversation_id, seq, parent_id, role, created_at, updated_at, parts, skip_seq)
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \(count * 2))
                SELECT 'n' || n, 'big', n,
                    CASE WHEN n % 2 = 1 AND n > 1 THEN 'n' || (n - 2) WHEN n % 2 = 0 AND n > 2 THEN 'n' || (n - 3) END,
                    'user', :at, :at, '[]', CASE WHEN n >= 68 THEN (n - 4) / 64 * 64 + 1 END
                FROM numbers
                """
            )
            _ = try await chat.database.run(fill.bind(["at": Instant(seconds: 1)]))
            try await chat.change(
                "UPDATE conversations SET last_seq = \(count * 2), head_message_id = 'n\(count * 2 - 1)' WHERE id = 'big'"
            )
            let path = "/v1/conversations/\(id)"
            // The sibling of the second message leads, through the whole chain, to its end.
            let siblings = try await chat.send(.get, "\(path)/messages/n2?include=siblings").json["siblings"]
            #expect(siblings?["previous_leaf_id"]?.string == "n\(count * 2)")
            let around = try await chat.send(.get, "\(path)/messages?around=n101&limit=4").json
            #expect(around["leaf_id"]?.string == "n\(count * 2 - 1)")
            #expect(around["data"]?.array?.compactMap { $0["id"]?.string } == ["n99", "n101", "n103", "n105"])
            // An appended message has a skip of at least 64 numbers.
            _ = try await chat.append(#"{"id":"end","role":"user","content":"x"}"#, to: id)
            let skip = Statement("test.skip", .reads, "SELECT seq, skip_seq FROM messages WHERE id = 'end'")
            let row = try #require(try await chat.database.run(skip.bind()).first)
            #expect(try row.integer("seq") - (row.optionalInteger("skip_seq") ?? 0) <= 192)
            let moved = try await chat.send(.patch, path, #"{"head_message_id":"n1","descend":true}"#).json
            #expect(moved["head_message_id"]?.string == "end")
        }
    }

    @Test("skips of appended, forked and imported messages are ancestors", arguments: TestEngine.allCases)
    func skips(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            for batch in 0..<3 {
                let items = (0..<90).map { #"{"id":"m\#(batch)-\#($0)","role":"assistant","content":"x"}"# }
                try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            }
            try await chat.append(#"{"id":"side","role":"user","content":"x","parent_id":"m1-40"}"#, to: id)
            try await chat.append(#"{"role":"user","content":"x","parent_id":"m2-80"}"#, to: id)
            #expect(try await chat.send(.post, "/v1/conversations/\(id)/fork", "{}").status == 201)
            let broken = Statement(
                "test.skips",
                .reads,
                """
                WITH RECURSIVE up (id, conversation, skip, above) AS (
                    SELECT id, conversation_id, skip_seq, parent_id FROM messages WHERE skip_seq IS NOT NULL
                    UNION ALL
                    SELECT up.id, up.conversation, up.skip, m.parent_id FROM up JOIN messages m ON m.id = up.above
                    WHERE m.seq > up.skip
                )
                SELECT (SELECT COUNT(*) FROM messages WHERE skip_seq IS NOT NULL) AS skips,
                    (SELECT COUNT(*) FROM up JOIN messages m ON m.id = up.above AND m.seq = up.skip) AS found
                """
            )
            let row = try #require(try await chat.database.run(broken.bind()).first)
            #expect(try row.integer("skips") > 300)
            #expect(try row.integer("skips") == row.integer("found"))
        }
    }
}
