import ChatService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Forks")
struct ForkTests {
    /// 1 – 2 – 3, and 4 beside 3 as another answer to 2.
    private static let tree = """
        {"id":"c","title":"Tree","model":"m","slug":"s","visibility":"public","settings":{"t": 1},"metadata":{"k": [1]},
         "messages":[{"id":"m-1","role":"user","content":"one","tokens_in":5},
                     {"id":"m-2","role":"assistant","content":"two","tokens_out":7,"metadata":{"x": 1}},
                     {"id":"m-3","role":"user","parts":[{"type":"odd", "n": 1.50}]},
                     {"id":"m-4","role":"user","content":"four","parent_id":"m-2"}]}
        """

    @Test("a fork has the branch alone, numbered anew, and the original keeps all", arguments: TestEngine.allCases)
    func branch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(Self.tree)
            _ = try await chat.send(.put, "/v1/conversations/c/tags/t")
            _ = try await chat.send(.put, "/v1/conversations/c/messages/m-2/vote", #"{"value":"up"}"#)
            let before = try await chat.send(.get, "/v1/conversations/c?include=messages").text
            let answer = try await chat.send(.post, "/v1/conversations/c/fork", #"{"message_id":"m-4"}"#)
            #expect(answer.status == 201, "\(answer.text)")
            let fork = try answer.json
            let id = try #require(fork["id"]?.string)
            #expect(answer.headers[.location] == "/v1/conversations/\(id)")
            #expect(answer.headers[.eTag] == "\"v1\"")
            #expect(fork["forked_from_conversation_id"]?.string == "c")
            #expect(fork["forked_from_message_id"]?.string == "m-4")
            #expect(fork["title"]?.string == "Tree")
            #expect(fork["title_source"]?.string == "user")
            #expect(fork["slug"]?.isNull == true)
            #expect(fork["visibility"]?.string == "private")
            #expect(fork["settings"]?.raw == #"{"t": 1}"#)
            #expect(fork["metadata"]?.raw == #"{"k": [1]}"#)
            #expect(fork["tags"]?.array?.map(\.string) == ["t"])
            #expect(fork["message_count"]?.integer == 3)
            #expect(fork["tokens_in"]?.integer == 5)
            #expect(fork["tokens_out"]?.integer == 7)
            #expect(try await chat.send(.get, "/v1/conversations/\(id)").text == answer.text)
            try await chat.expectSound(id, count: 3)
            let messages = try await chat.messages(id)
            let originals = try await chat.messages("c")
            #expect(messages.map { $0["content"]?.string } == ["one", "two", "four"])
            #expect(messages[1]["metadata"]?.raw == #"{"x": 1}"#)
            for (copy, previous) in zip(messages.dropFirst(), messages) {
                #expect(copy["parent_id"]?.string == previous["id"]?.string)
            }
            for (copy, original) in zip(messages, [originals[0], originals[1], originals[3]]) {
                for member in ["parts", "created_at", "role", "tokens_total", "author_id"] {
                    #expect(copy[member]?.raw == original[member]?.raw, "\(member)")
                }
                #expect(copy["id"]?.string != original["id"]?.string)
            }
            #expect(try await chat.pages("/v1/conversations/\(id)/votes?limit=5").flatMap { $0 }.isEmpty)
            #expect(try await chat.send(.get, "/v1/conversations/c?include=messages").text == before)
            // The copy is independent.
            try await chat.append(#"{"role":"user","content":"more"}"#, to: id)
            try await chat.expectSound(id, count: 4)
            try await chat.expectSound("c", count: 4)
            // The head with another title: a copy of the visible branch.
            let copy = try await chat.send(.post, "/v1/conversations/c/fork", #"{"title":"Copy"}"#).json
            #expect(copy["title"]?.string == "Copy")
            #expect(copy["forked_from_message_id"]?.string == "m-4")
            #expect(try await chat.send(.post, "/v1/conversations/\(id)/fork").status == 201)
            #expect(try await chat.leftovers() == 0)
        }
    }

    @Test("deleted messages are left out, and an empty conversation has an empty fork", arguments: TestEngine.allCases)
    func gaps(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(Self.tree)
            let delete = Statement(
                "test.delete",
                .writes,
                ["id": .text, "at": .instant],
                "UPDATE messages SET deleted_at = :at, version = version + 1 WHERE id = :id"
            )
            _ = try await chat.database.run(delete.bind(["id": "m-2", "at": Instant(seconds: 1)]))
            let fork = try await chat.send(.post, "/v1/conversations/c/fork", #"{"message_id":"m-3"}"#).json
            let id = try #require(fork["id"]?.string)
            try await chat.expectSound(id, count: 2)
            #expect(try await chat.messages(id).map { $0["parts"]?.raw.contains("odd") } == [false, true])
            let gone = try await chat.send(.post, "/v1/conversations/c/fork", #"{"message_id":"m-2"}"#)
            #expect(gone.violations == ["message_id invalid"])
            _ = try await chat.database.run(delete.bind(["id": "m-4", "at": Instant(seconds: 1)]))
            let head = try await chat.send(.post, "/v1/conversations/c/fork").json
            #expect(head["message_count"]?.integer == 1)

            try await chat.create(#"{"id":"empty"}"#)
            let empty = try await chat.send(.post, "/v1/conversations/empty/fork")
            #expect(empty.status == 201, "\(empty.text)")
            try await chat.expectSound(try #require(try empty.json["id"]?.string), count: 0)
        }
    }

    @Test(
        "S1, S3: a fork is of the caller's own conversation and of a message in it",
        arguments: TestEngine.allCases
    )
    func s3Foreign(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(Self.tree)
            try await chat.create(#"{"id":"mine","messages":[{"role":"user","content":"x"}]}"#, as: "stranger")
            for (path, body, status) in [
                ("/v1/conversations/c/fork", nil, 404),
                ("/v1/conversations/c/fork", #"{"message_id":"m-1"}"#, 404),
                ("/v1/conversations/nowhere/fork", nil, 404),
                ("/v1/conversations/mine/fork", #"{"message_id":"m-1"}"#, 400),
                ("/v1/conversations/mine/fork", #"{"message_id":"../x"}"#, 400),
                ("/v1/conversations/mine/fork", #"{"owner_id":"owner"}"#, 400),
            ] as [(String, String?, Int)] {
                let answer = try await chat.send(.post, path, as: "stranger", body)
                #expect(answer.status == status, "\(path) \(body ?? ""): \(answer.text)")
            }
            #expect(try await chat.rows("conversations") == 2)
            _ = try await chat.send(.delete, "/v1/conversations/c")
            #expect(try await chat.send(.post, "/v1/conversations/c/fork").status == 404)
        }
    }

    @Test("a branch of 10,000 messages is forked whole, in pieces of 500", arguments: TestEngine.allCases)
    func long(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(10_000, in: "c")
            let counting = try #require(chat.database as? CountingDatabase)
            counting.forget()
            let answer = try await chat.send(.post, "/v1/conversations/c/fork", #"{"message_id":"c-9999"}"#)
            #expect(answer.status == 201, "\(answer.text)")
            let copying = counting.transactions.filter { $0.contains("forks.copy") }
            #expect(copying.count == 20)
            #expect(copying.allSatisfy { transaction in transaction.filter { $0 == "forks.copy" }.count == 1 })
            let row = try answer.json
            let id = try #require(row["id"]?.string)
            #expect(row["message_count"]?.integer == 9999)
            #expect(row["tokens_in"]?.integer == 19_998)
            let broken = Statement(
                "test.broken",
                .reads,
                ["conversation": .text],
                """
                SELECT COUNT(*) AS n FROM (
                    SELECT seq, content_text, COALESCE(parent_id, '') = COALESCE(LAG(id) OVER (ORDER BY seq), '') AS fits
                    FROM messages WHERE conversation_id = :conversation
                    EXCEPT SELECT seq, content_text, TRUE FROM messages WHERE conversation_id = 'c'
                ) AS wrong
                """
            )
            #expect(try await chat.database.run(broken.bind(["conversation": id])).first?.integer("n") == 0)
            #expect(try await chat.rows("messages WHERE conversation_id = '\(id)'") == 9999)
            #expect(try await chat.leftovers() == 0)
        }
    }

    @Test(
        "a fork that is being made is seen by nobody, and one that was abandoned goes",
        arguments: TestEngine.allCases
    )
    func halfMade(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(1200, in: "c")
            // As a process leaves it that is killed after its second transaction.
            let begin = ForkPieces.begin("half", "owner", "c", clock.clock.now())
            let copy = ForkPieces.copy("half", "owner", "c", from: "c-1200", number: 1200)
            for piece in [begin, copy] { _ = try await chat.database.run(Transaction(piece)) }
            #expect(try await chat.rows("messages WHERE conversation_id = 'half'") == 500)
            let attempts: [(HTTPRequest.Method, String, String?)] = [
                (.get, "/v1/conversations/half", nil),
                (.get, "/v1/conversations/half?include=messages,votes", nil),
                (.patch, "/v1/conversations/half", #"{"title":"x"}"#),
                (.delete, "/v1/conversations/half", nil),
                (.delete, "/v1/conversations/half?permanent=true", nil),
                (.post, "/v1/conversations/half/restore", nil),
                (.post, "/v1/conversations/half/fork", nil),
                (.get, "/v1/conversations/half/messages", nil),
                (.get, "/v1/conversations/half/messages/half.1200", nil),
                (.post, "/v1/conversations/half/messages", #"{"role":"user","content":"x"}"#),
                (.put, "/v1/conversations/half/messages/half.1200/vote", #"{"value":"up"}"#),
                (.get, "/v1/conversations/half/votes", nil),
                (.put, "/v1/conversations/half/tags/x", nil),
            ]
            for (method, path, body) in attempts {
                #expect(try await chat.send(method, path, body).status == 404, "\(method) \(path)")
            }
            for path in ["/v1/conversations?limit=9", "/v1/conversations?trash=true&limit=9"] {
                let ids = try await chat.pages(path).flatMap { $0 }.map { $0["id"]?.string }
                #expect(!ids.contains("half"))
            }
            let cleanup = chat.cleanup(clock.clock)
            _ = try await cleanup.run()
            #expect(try await chat.rows("messages WHERE conversation_id = 'half'") == 500)
            clock.advance(.seconds(3601))
            let counts = try await cleanup.run().counts
            #expect(counts.first { $0.name == "chat_trash_messages" }?.count == 500)
            #expect(try await chat.leftovers() == 0)
            try await chat.expectSound("c", count: 1200)
        }
    }

    @Test(
        "S17: a fork that meets edits and deletions has the branch of one moment, or none",
        arguments: TestEngine.allCases
    )
    func s17Race(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(1001, in: "c")
            // One transaction: a reader that sees only one of them has seen two moments.
            let edit = Statement(
                "test.edit",
                .writes,
                ["id": .text, "text": .text],
                "UPDATE messages SET content_text = :text, version = version + 1 WHERE id = :id"
            )
            let forks = try await inParallel(8) { index -> Answer? in
                guard index.isMultiple(of: 4) else {
                    for round in 0..<4 {
                        let text = "\(index).\(round)"
                        _ = try await chat.database.run(
                            Transaction([
                                edit.bind(["id": "c-1", "text": text]), edit.bind(["id": "c-1001", "text": text]),
                            ])
                        )
                    }
                    return nil
                }
                return try await chat.send(.post, "/v1/conversations/c/fork", node: index / 4)
            }.compactMap(\.self)
            #expect(forks.allSatisfy { [201, 409].contains($0.status) })
            let later = try await chat.send(.post, "/v1/conversations/c/fork")
            for fork in forks + [later] where fork.status == 201 {
                let id = try #require(try fork.json["id"]?.string)
                #expect(try fork.json["message_count"]?.integer == 1001)
                let first = try await chat.send(.get, "/v1/conversations/\(id)/messages/\(id).1").json
                let last = try await chat.send(.get, "/v1/conversations/\(id)/messages/\(id).1001").json
                #expect(first["content"]?.string?.contains(".") == last["content"]?.string?.contains("."))
                if first["content"]?.string != "Text 1" {
                    #expect(first["content"]?.string == last["content"]?.string)
                }
            }
            #expect(later.status == 201)
            #expect(try await chat.leftovers() == 0)
        }
    }
}
