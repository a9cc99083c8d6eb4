// Versions of a question or an answer are siblings, and each branch is paged by itself.
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("The tree of messages")
struct MessageTreeTests {
    /// q1 → a1 → q2 → a2, then q2 edited as q2b → a2b, then a2b regenerated as a2c.
    private static func tree(_ chat: Chat) async throws -> String {
        let id = try await chat.conversation()
        for (message, parent, role) in [
            ("q1", "null", "user"), ("a1", #""q1""#, "assistant"), ("q2", #""a1""#, "user"),
            ("a2", #""q2""#, "assistant"), ("q2b", #""a1""#, "user"), ("a2b", #""q2b""#, "assistant"),
            ("a2c", #""q2b""#, "assistant"),
        ] {
            try await chat.append(
                #"{"id":"\#(message)","role":"\#(role)","content":"\#(message)","parent_id":\#(parent)}"#,
                to: id
            )
        }
        return "/v1/conversations/\(id)"
    }

    @Test(
        "an edited question and a regenerated answer are siblings, and the newest is shown",
        arguments: TestEngine.allCases
    )
    func siblings(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = try await Self.tree(chat)
            #expect(try await chat.send(.get, path).json["head_message_id"]?.string == "a2c")
            #expect(try await chat.ids("\(path)/messages?leaf=head") == ["q1", "a1", "q2b", "a2c"])
            #expect(try await chat.ids("\(path)/messages?leaf=a2") == ["q1", "a1", "q2", "a2"])
            #expect(try await chat.ids("\(path)/messages?leaf=a2b") == ["q1", "a1", "q2b", "a2b"])
            #expect(try await chat.ids("\(path)/messages?leaf=a1") == ["q1", "a1"])
            #expect(try await chat.ids("\(path)/messages?leaf=head&order=desc") == ["a2c", "q2b", "a1", "q1"])
            let expected = [
                "q1": "1/1 - -", "a1": "1/1 - -", "q2": "1/2 - q2b", "a2": "1/1 - -", "q2b": "2/2 q2 -",
                "a2b": "1/2 - a2c", "a2c": "2/2 a2b -",
            ]
            for query in ["limit=50", "order=desc", "leaf=a2", "leaf=head", "leaf=a2b&order=desc"] {
                let page = try await chat.send(.get, "\(path)/messages?include=siblings&\(query)").json
                let messages = try #require(page["data"]?.array)
                #expect(!messages.isEmpty)
                for message in messages {
                    #expect(Self.place(message) == expected[message["id"]?.string ?? ""], "\(query)")
                }
            }
            let one = try await chat.send(.get, "\(path)/messages/q2b?include=siblings").json
            #expect(Self.place(one) == "2/2 q2 -")
            #expect(try await chat.send(.get, "\(path)/messages/q2b").json["siblings"] == nil)
            // A deleted version is not among them.
            #expect(try await chat.send(.delete, "\(path)/messages/q2").status == 204)
            let alone = try await chat.send(.get, "\(path)/messages/q2b?include=siblings").json
            // The deleted question's answer took its place in the tree.
            #expect(Self.place(alone) == "2/2 a2 -")
        }
    }

    @Test("roots are siblings of each other", arguments: TestEngine.allCases)
    func roots(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            for root in ["r1", "r2", "r3"] {
                try await chat.append(#"{"id":"\#(root)","role":"user","content":"x","parent_id":null}"#, to: id)
            }
            let other = try await chat.conversation()
            try await chat.append(#"{"id":"x1","role":"user","content":"x","parent_id":null}"#, to: other)
            let page = try await chat.send(.get, "/v1/conversations/\(id)/messages?include=siblings").json
            #expect(page["data"]?.array?.map(Self.place) == ["1/3 - r2", "2/3 r1 r3", "3/3 r2 -"])
        }
    }

    @Test(
        "the head pointer switches the shown branch, to live messages of the conversation alone",
        arguments: TestEngine.allCases
    )
    func head(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = try await Self.tree(chat)
            let other = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"elsewhere"}]}"#)
            _ = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"x","id":"theirs"}]}"#,
                as: "stranger"
            )
            let switched = try await chat.send(.patch, path, #"{"head_message_id":"a2"}"#)
            #expect(switched.status == 200)
            #expect(try switched.json["head_message_id"]?.string == "a2")
            #expect(try switched.json["version"]?.integer == 3)
            #expect(try await chat.ids("\(path)/messages?leaf=head") == ["q1", "a1", "q2", "a2"])
            let id = String(path.dropFirst("/v1/conversations/".count))
            #expect(try await chat.append(#"{"role":"user","content":"q3"}"#, to: id)["parent_id"]?.string == "a2")
            #expect(try await chat.send(.delete, "\(path)/messages/a1").status == 204)
            for wrong in [#""elsewhere""#, #""theirs""#, #""nowhere""#, #""a1""#, "null", #""../x""#] {
                let answer = try await chat.send(.patch, path, #"{"head_message_id":\#(wrong)}"#)
                #expect(answer.status == 400)
                #expect(answer.violations == ["head_message_id invalid"], "\(wrong)")
            }
            #expect(
                try await chat.send(.get, "/v1/conversations/\(other)").json["head_message_id"]?.string == "elsewhere"
            )
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("a branch is paged from its leaf in both orders and both directions", arguments: TestEngine.allCases)
    func paging(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            // Every third message has a sibling off the branch.
            var branch: [String] = []
            for number in 1...23 {
                let parent = branch.last.map { #""\#($0)""# } ?? "null"
                if number.isMultiple(of: 3) {
                    try await chat.append(
                        #"{"id":"s\#(number)","role":"user","content":"s","parent_id":\#(parent)}"#,
                        to: id
                    )
                }
                try await chat.append(
                    #"{"id":"m\#(number)","role":"user","content":"m","parent_id":\#(parent)}"#,
                    to: id
                )
                branch.append("m\(number)")
            }
            let path = "/v1/conversations/\(id)/messages?leaf=m23"
            for limit in [1, 5, 23, 100] {
                let down = try await chat.pages("\(path)&order=desc&limit=\(limit)").flatMap { $0 }
                #expect(down.compactMap { $0["id"]?.string } == branch.reversed())
                // Oldest first: pages from the leaf upwards, by `before`.
                var up: [String] = []
                var cursor: String? = ""
                while let here = cursor, up.count <= branch.count {
                    let page = try await chat.send(.get, "\(path)&limit=\(limit)\(here)").json
                    up = (page["data"]?.array?.compactMap { $0["id"]?.string } ?? []) + up
                    #expect(page["has_more"]?.boolean == (up.count < branch.count))
                    cursor = page["prev_cursor"]?.string.map { "&before=\($0)" }
                }
                #expect(up == branch)
            }
            let last = try await chat.send(.get, "\(path)&last=5").json
            #expect(last["data"]?.array?.compactMap { $0["id"]?.string } == Array(branch.suffix(5)))
            let before = try #require(last["prev_cursor"]?.string)
            let above = try await chat.send(.get, "\(path)&limit=10&before=\(before)").json
            #expect(above["data"]?.array?.compactMap { $0["id"]?.string } == Array(branch[8..<18]))
            let after = try #require(above["next_cursor"]?.string)
            let below = try await chat.send(.get, "\(path)&limit=3&after=\(after)").json
            #expect(below["data"]?.array?.compactMap { $0["id"]?.string } == Array(branch[18..<21]))
            #expect(below["has_more"]?.boolean == true)
            let rest = try #require(below["next_cursor"]?.string)
            let end = try await chat.send(.get, "\(path)&limit=3&after=\(rest)").json
            #expect(end["data"]?.array?.compactMap { $0["id"]?.string } == Array(branch[21...]))
            #expect(end["has_more"]?.boolean == false)
            // A cursor whose message was deleted still works.
            #expect(try await chat.send(.delete, "/v1/conversations/\(id)/messages/m19").status == 204)
            let onward = try await chat.send(.get, "\(path)&limit=3&before=\(before)").json
            #expect(onward["data"]?.array?.compactMap { $0["id"]?.string } == ["m16", "m17", "m18"])
        }
    }

    private static func cursor(_ leaf: String, _ message: String, _ number: Int) -> String {
        Base64URL.encode(Array("branch/\(leaf) \(number) \(message)".utf8))
    }

    @Test(
        "a cursor of one branch is refused by another, and the head's pages stay on their branch when it is switched",
        arguments: TestEngine.allCases
    )
    func cursors(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = try await Self.tree(chat)
            let newest = try await chat.send(.get, "\(path)/messages?leaf=a2&limit=2").json
            let before = try #require(newest["prev_cursor"]?.string)
            let after = try #require(newest["next_cursor"]?.string)
            for query in ["leaf=a2b&before=\(before)", "leaf=a2b&after=\(after)", "leaf=q2&before=\(before)"] {
                let answer = try await chat.send(.get, "\(path)/messages?\(query)")
                #expect(answer.status == 400, "\(query)")
                #expect(answer.code == "invalid_cursor")
            }
            let plain = try #require(
                try await chat.send(.get, "\(path)/messages?limit=1").json["next_cursor"]?.string
            )
            #expect(try await chat.send(.get, "\(path)/messages?leaf=head&after=\(plain)").code == "invalid_cursor")
            #expect(try await chat.send(.get, "\(path)/messages?after=\(after)").code == "invalid_cursor")

            // The head is a2c, on q2b; it moves to a2, on q2, between the pages.
            let top = try await chat.send(.get, "\(path)/messages?leaf=head&limit=2").json
            #expect(top["data"]?.array?.compactMap { $0["id"]?.string } == ["q2b", "a2c"])
            #expect(try await chat.send(.patch, path, #"{"head_message_id":"a2"}"#).status == 200)
            let edge = try #require(top["prev_cursor"]?.string)
            let above = try await chat.send(.get, "\(path)/messages?leaf=head&limit=2&before=\(edge)").json
            #expect(above["data"]?.array?.compactMap { $0["id"]?.string } == ["q1", "a1"])
            let down = try #require(above["next_cursor"]?.string)
            let below = try await chat.send(.get, "\(path)/messages?leaf=head&limit=2&after=\(down)").json
            #expect(below["data"]?.array?.compactMap { $0["id"]?.string } == ["q2b", "a2c"])
            // Once that head is deleted, the cursor is invalid.
            #expect(try await chat.send(.delete, "\(path)/messages/a2c").status == 204)
            let gone = try await chat.send(.get, "\(path)/messages?leaf=head&limit=2&before=\(edge)")
            #expect(gone.code == "invalid_cursor", "\(gone.text)")
            #expect(try await chat.ids("\(path)/messages?leaf=head") == ["q1", "a1", "q2", "a2"])
        }
    }

    @Test("a leaf that is not there is 404, and one branch is not counted", arguments: TestEngine.allCases)
    func leaves(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = try await Self.tree(chat)
            let empty = try await chat.conversation()
            let mine = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"x","id":"own"}]}"#,
                as: "stranger"
            )
            #expect(try await chat.ids("/v1/conversations/\(empty)/messages?leaf=head") == [])
            let cursor = try #require(
                try await chat.send(.get, "\(path)/messages?leaf=a2&limit=1").json["prev_cursor"]?.string
            )
            for (path, user) in [
                ("\(path)/messages?leaf=nowhere", "owner"), ("\(path)/messages?leaf=own", "owner"),
                ("\(path)/messages?leaf=nowhere&before=\(Self.cursor("nowhere", "q1", 1))", "owner"),
                ("\(path)/messages?leaf=nowhere&after=\(Self.cursor("nowhere", "q1", 1))", "owner"),
                ("\(path)/messages?leaf=..%2Fa2", "owner"), ("/v1/conversations/nowhere/messages?leaf=head", "owner"),
                ("\(path)/messages?leaf=a2", "stranger"), ("\(path)/messages?leaf=head", "stranger"),
                ("\(path)/messages?leaf=head&before=\(cursor)", "stranger"),
                ("/v1/conversations/\(mine)/messages?leaf=a2", "stranger"),
                ("/v1/conversations/\(mine)/messages?leaf=own&before=\(Self.cursor("own", "a2", 5))", "nobody"),
            ] {
                let answer = try await chat.send(.get, path, as: user)
                #expect(answer.status == 404, "\(path) as \(user): \(answer.text)")
            }
            // A cursor of another conversation is invalid.
            let foreign = try await chat.send(
                .get,
                "/v1/conversations/\(mine)/messages?leaf=own&before=\(Self.cursor("own", "a2", 5))",
                as: "stranger"
            )
            #expect(try foreign.json["data"]?.array?.isEmpty == true)
            #expect(try await chat.send(.get, "\(path)/messages?leaf=a2&count=true").violations == ["count invalid"])
        }
    }

    @Test(
        "a page at the leaf of 100,000 messages is a short walk, and the newest page costs its rows after a truncation",
        arguments: TestEngine.allCases
    )
    func long(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let count = 100_000
            let id = try await chat.conversation()
            try await chat.fill(id, with: count)
            let path = "/v1/conversations/\(id)/messages"
            let clock = ContinuousClock()
            let near = try await clock.measure { () async throws in
                #expect(try await chat.ids("\(path)?leaf=head&last=20").last == "n\(count)")
            }
            let page = try await chat.send(.get, "\(path)?leaf=head&limit=20&order=desc").json
            let cursor = try #require(page["next_cursor"]?.string)
            let next = try await chat.send(.get, "\(path)?leaf=head&limit=20&order=desc&after=\(cursor)").json
            #expect(next["data"]?.array?.first?["id"]?.string == "n\(count - 20)")
            // From the root down, which walks the whole branch.
            let root = Cursor(position: 1, id: "n1").encoded(for: "branch/n\(count)")
            let far = try await clock.measure { () async throws in
                #expect(try await chat.ids("\(path)?leaf=head&limit=20&after=\(root)") == (2...21).map { "n\($0)" })
            }
            let truncation = try await clock.measure { () async throws in
                let answer = try await chat.send(.delete, "\(path)?after_seq=90000")
                #expect(answer.status == 200, "\(answer.text)")
                #expect(try answer.json["deleted"]?.integer == Int64(count - 90_000))
                #expect(try answer.json["head_message_id"]?.string == "n90000")
            }
            let after = try await clock.measure { () async throws in
                #expect(try await chat.ids("\(path)?last=50") == (89_951...90_000).map { "n\($0)" })
            }
            #expect(
                try await chat.append(#"{"role":"user","content":"x"}"#, to: id)["seq"]?.integer == Int64(count + 1)
            )
            print(
                "\(engine): 100,000 messages: leaf page \(near), root page \(far), truncation \(truncation), page \(after)"
            )
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    /// `position/count previous next`.
    private static func place(_ message: JSONElement) -> String {
        let siblings = message["siblings"]
        let numbers = ["position", "count"].map { siblings?[$0]?.integer.map(String.init) ?? "?" }
        let ids = ["previous_id", "next_id"].map { siblings?[$0]?.string ?? "-" }
        return "\(numbers[0])/\(numbers[1]) \(ids[0]) \(ids[1])"
    }
}

extension Chat {
    func ids(_ path: String, as user: String = "owner") async throws -> [String] {
        let answer = try await send(.get, path, as: user)
        try #require(answer.status == 200, "\(path): \(answer.text)")
        return try answer.json["data"]?.array?.compactMap { $0["id"]?.string } ?? []
    }

    /// Fills an empty conversation with one branch `n1`, `n2`, …, bypassing the service.
    func fill(_ conversation: String, with count: Int) async throws {
        let messages = Statement(
            "test.fill",
            .writes,
            ["conversation": .text, "at": .instant],
            """
            INSERT INTO messages (id, conversation_id, seq, parent_id, role, created_at, updated_at, content_text, parts)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \(count))
            SELECT 'n' || n, :conversation, n, CASE WHEN n > 1 THEN 'n' || (n - 1) END, 'user', :at, :at, 'Some words', '[]' FROM numbers
            """
        )
        let counters = Statement(
            "test.count",
            .writes,
            ["id": .text],
            "UPDATE conversations SET last_seq = \(count), message_count = \(count), head_message_id = 'n\(count)' WHERE id = :id"
        )
        _ = try await database.run(
            Transaction([
                messages.bind(["conversation": conversation, "at": Instant(seconds: 1)]),
                counters.bind(["id": conversation]),
            ]),
            priority: .long
        )
        try await database.withMigrationLock { try $0.execute(script: "ANALYZE") }
    }
}
