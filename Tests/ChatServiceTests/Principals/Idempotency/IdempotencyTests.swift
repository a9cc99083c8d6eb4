import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Idempotency-Key")
struct IdempotencyTests {
    /// Requests that create something, on a conversation `c` of the owner.
    private static let creations: [(path: String, body: String?)] = [
        ("/v1/conversations", "{}"),
        (
            "/v1/conversations",
            #"{"model":"m","slug":"own","settings":{"a": 1},"metadata":{"b":2},"messages":[{"role":"user","content":" Why \n so? ","tokens_in":3},{"role":"assistant","parts":[{"type":"x","y": 1.0}],"tokens_out":4}]}"#
        ),
        ("/v1/conversations", #"{"id":"mine","title":"T","messages":[{"role":"user","content":"x","id":"m-own"}]}"#),
        ("/v1/conversations/c/messages", #"{"role":"user","content":"one"}"#),
        (
            "/v1/conversations/c/messages",
            #"{"messages":[{"role":"user","content":"two"},{"role":"assistant","content":"three","id":"m-3"},{"role":"user","content":"four","parent_id":null}]}"#
        ),
        ("/v1/conversations/c/fork", nil),
        ("/v1/conversations/c/fork", #"{"title":"Copy"}"#),
    ]

    private static func key(_ text: String) -> HTTPFields { [.idempotencyKey: text] }

    @Test("the same key and request is answered again, byte for byte, and done once", arguments: TestEngine.allCases)
    func replay(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"zero"}]}"#)
            for (index, request) in Self.creations.enumerated() {
                let headers = Self.key("\"key-\(index)\"")
                let first = try await chat.send(.post, request.path, request.body, headers: headers)
                #expect(first.status == 201, "\(request.path): \(first.text)")
                #expect(first.headers[.idempotencyReplayed] == nil)
                let conversations = try await chat.rows("conversations")
                let messages = try await chat.rows("messages")
                clock.advance(.seconds(60))
                // With and without the quotes of RFC 8941.
                for name in ["\"key-\(index)\"", "key-\(index)"] {
                    let again = try await chat.send(.post, request.path, request.body, headers: Self.key(name))
                    #expect(again.status == 201, "\(request.path): \(again.text)")
                    #expect(again.text == first.text)
                    #expect(again.headers[.idempotencyReplayed] == "true")
                    for field in [HTTPField.Name.location, .eTag] {
                        #expect(again.headers[field] == first.headers[field])
                    }
                }
                #expect(try await chat.rows("conversations") == conversations)
                #expect(try await chat.rows("messages") == messages)
                #expect(try await chat.rows("principals WHERE is_replaying") == 0)
            }
            try await chat.expectSound("c", count: 5)
            // The object may have changed since; the answer has not.
            let (path, body) = (Self.creations[2].path, Self.creations[2].body)
            _ = try await chat.send(.patch, "/v1/conversations/mine", #"{"title":"Other"}"#)
            try await chat.append(#"{"role":"user","content":"later"}"#, to: "mine")
            let again = try await chat.send(.post, path, body, headers: Self.key("key-2"))
            #expect(try again.json["title"]?.string == "T")
            #expect(try again.json["message_count"]?.integer == 1)
            try await chat.expectSound("mine", count: 2)
        }
    }

    @Test(
        "a key that comes with another request is 422, another person's is another key",
        arguments: TestEngine.allCases
    )
    func reused(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c"}"#)
            try await chat.create(#"{"id":"d"}"#)
            let made = try await chat.send(.post, "/v1/conversations", #"{"title":"a"}"#, headers: Self.key("k"))
            #expect(made.status == 201)
            for (path, body) in [
                ("/v1/conversations", #"{"title":"b"}"#),
                ("/v1/conversations/c/messages", #"{"role":"user","content":"x"}"#),
                ("/v1/conversations/c/fork", nil),
            ] as [(String, String?)] {
                let answer = try await chat.send(.post, path, body, headers: Self.key("k"))
                #expect(answer.status == 422, "\(path): \(answer.text)")
                #expect(answer.code == "idempotency_key_reused")
            }
            // The same body to another conversation is another request.
            let body = #"{"role":"user","content":"x"}"#
            #expect(
                try await chat.send(.post, "/v1/conversations/c/messages", body, headers: Self.key("m")).status == 201
            )
            #expect(
                try await chat.send(.post, "/v1/conversations/d/messages", body, headers: Self.key("m")).status == 422
            )
            let theirs = try await chat.send(
                .post,
                "/v1/conversations",
                as: "stranger",
                #"{"title":"theirs"}"#,
                headers: Self.key("k")
            )
            #expect(theirs.status == 201)
            #expect(try theirs.json["owner_id"]?.string == "stranger")
            try await chat.expectSound("c", count: 1)
            try await chat.expectSound("d", count: 0)
            let long = String(repeating: "k", count: 256)
            for bad in ["", "\"\"", "a b", "a\"b", long] {
                let answer = try await chat.send(.post, "/v1/conversations", "{}", headers: Self.key(bad))
                #expect(answer.violations == ["Idempotency-Key invalid"], "\(bad)")
            }
        }
    }

    @Test("a refusal is not kept: the key is free for the next try", arguments: TestEngine.allCases)
    func refusals(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","slug":"s","messages":[{"role":"user","content":"x","id":"m"}]}"#)
            let refused: [(String, String, Int)] = [
                ("/v1/conversations", #"{"id":"c"}"#, 409),
                ("/v1/conversations", #"{"slug":"s"}"#, 409),
                ("/v1/conversations", #"{"id":"new","messages":[{"role":"user","content":"x","id":"m"}]}"#, 409),
                ("/v1/conversations", #"{"title":1}"#, 400),
                ("/v1/conversations/c/messages", #"{"role":"user","content":"y","id":"m"}"#, 409),
                (
                    "/v1/conversations/c/messages",
                    #"{"messages":[{"role":"user","content":"y"},{"role":"user","content":"x","id":"m"}]}"#, 409
                ),
                ("/v1/conversations/c/messages", #"{"role":"user","content":"x","parent_id":"no"}"#, 400),
                ("/v1/conversations/nowhere/messages", #"{"role":"user","content":"x"}"#, 404),
                ("/v1/conversations/nowhere/fork", "{}", 404),
                ("/v1/conversations/c/fork", #"{"message_id":"no"}"#, 400),
            ]
            for _ in 0..<2 {
                for (path, body, status) in refused {
                    let answer = try await chat.send(.post, path, body, headers: Self.key("k"))
                    #expect(answer.status == status, "\(path) \(body): \(answer.text)")
                }
            }
            #expect(try await chat.rows("idempotency_keys") == 0)
            #expect(try await chat.rows("principals WHERE is_replaying") == 0)
            try await chat.mark("owner", active: false, erasedAt: nil)
            #expect(try await chat.send(.post, "/v1/conversations", "{}", headers: Self.key("k")).status == 403)
            try await chat.mark("owner", active: true, erasedAt: nil)
            #expect(try await chat.send(.post, "/v1/conversations", "{}", headers: Self.key("k")).status == 201)
            try await chat.mark("owner", active: false, erasedAt: nil)
            let replayed = try await chat.send(.post, "/v1/conversations", "{}", headers: Self.key("k"))
            #expect(replayed.status == 403)
            try await chat.expectNoLeftovers()
        }
    }

    @Test("a reservation with a key is made once, and told again with what remains", arguments: TestEngine.allCases)
    func reservations(engine: TestEngine) async throws {
        let clock = TestClock()
        let limited: @Sendable (inout ChatConfiguration) -> Void = {
            $0.quotas[.user] = Quotas.Limits(tokensPerDay: 1000)
        }
        try await withChat(engine, clock: clock.clock, configure: limited) { chat in
            let path = "/v1/usage/reservations"
            let body = #"{"tokens":400,"model":"m","expires_in":60}"#
            let answers = try await inParallel(8) { _ in
                try await chat.send(.post, path, body, headers: Self.key("r"))
            }
            #expect(answers.allSatisfy { $0.status == 201 })
            #expect(answers.count { $0.headers[.idempotencyReplayed] == nil } == 1)
            #expect(Set(answers.map(\.text)).count == 1)
            #expect(try answers[0].json["remaining"]?.integer == 600)
            #expect(try await chat.rows("quota_reservations") == 1)
            // Another key is another reservation; another body is refused.
            #expect(try await chat.send(.post, path, body, headers: Self.key("r2")).status == 201)
            let reused = try await chat.send(.post, path, #"{"tokens":1}"#, headers: Self.key("r"))
            #expect(reused.code == "idempotency_key_reused")
            // Repeated with the remaining quota, although no more is available; a refusal stores no key.
            #expect(try await chat.send(.post, path, body, headers: Self.key("r3")).status == 429)
            clock.advance(.seconds(5))
            let again = try await chat.send(.post, path, body, headers: Self.key("r")).json
            for member in ["id", "created_at", "expires_at", "tokens", "model"] {
                #expect(again[member]?.raw == (try answers[0].json[member]?.raw), "\(member)")
            }
            #expect(again["remaining"]?.integer == 200)
            clock.advance(.seconds(60))
            let third = try await chat.send(.post, path, body, headers: Self.key("r3"))
            #expect(third.status == 201)
            #expect(third.headers[.idempotencyReplayed] == nil)
            try await chat.expectNoLeftovers()
        }
    }

    @Test(
        "a fork is told again from the trash, and once it is gone for good that is told",
        arguments: TestEngine.allCases
    )
    func deletedFork(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"x"}]}"#)
            func fork() async throws -> Answer {
                try await chat.send(.post, "/v1/conversations/c/fork", headers: Self.key("k"))
            }
            let id = try #require(try await fork().json["id"]?.string)
            _ = try await chat.send(.delete, "/v1/conversations/\(id)")
            let trashed = try await fork()
            #expect(trashed.status == 201)
            #expect(trashed.headers[.idempotencyReplayed] == "true")
            #expect(try trashed.json["id"]?.string == id)
            #expect(try trashed.json["deleted_at"]?.string?.isEmpty == false)
            _ = try await chat.send(.delete, "/v1/conversations/\(id)?permanent=true")
            let gone = try await fork()
            #expect(gone.status == 410)
            #expect(gone.code == "result_gone")
            #expect(try await chat.rows("conversations") == 1)
        }
        // Past its time in the trash it is gone before the cleanup runs.
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock, configure: { $0.trashRetention = .seconds(60) }) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"x"}]}"#)
            let fork = try await chat.send(.post, "/v1/conversations/c/fork", headers: Self.key("k"))
            let id = try #require(try fork.json["id"]?.string)
            _ = try await chat.send(.delete, "/v1/conversations/\(id)")
            clock.advance(.seconds(61))
            let late = try await chat.send(.post, "/v1/conversations/c/fork", headers: Self.key("k"))
            #expect(late.status == 410, "\(late.text)")
        }
    }

    @Test("a key is forgotten after 24 hours, and its rows are removed", arguments: TestEngine.allCases)
    func expiry(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            func send() async throws -> Answer {
                try await chat.send(.post, "/v1/conversations", "{}", headers: Self.key("k"))
            }
            let first = try await send()
            clock.advance(.seconds(86_399))
            #expect(try await send().text == first.text)
            clock.advance(.seconds(1))
            let second = try await send()
            #expect(second.status == 201)
            #expect(second.headers[.idempotencyReplayed] == nil)
            #expect(try second.json["id"]?.string != first.json["id"]?.string)
            #expect(try await chat.rows("conversations") == 2)
            clock.advance(.seconds(86_400))
            let counts = try await chat.cleanup(clock.clock).run().counts
            #expect(counts.first { $0.name == "chat_idempotency_keys" }?.count == 1)
            #expect(try await chat.rows("idempotency_keys") == 0)
        }
    }

    @Test("of 32 concurrent requests with one key one is done, and all are told so", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"zero"}]}"#)
            for (index, request) in Self.creations.enumerated() {
                let conversations = try await chat.rows("conversations")
                let messages = try await chat.rows("messages")
                let answers = try await inParallel(32) { number in
                    try await chat.send(
                        .post,
                        request.path,
                        request.body,
                        headers: Self.key("race-\(index)"),
                        node: number
                    )
                }
                #expect(answers.allSatisfy { $0.status == 201 }, "\(request.path)")
                #expect(Set(answers.map(\.text)).count == 1, "\(request.path)")
                #expect(answers.filter { $0.headers[.idempotencyReplayed] == nil }.count == 1, "\(request.path)")
                let made = try await chat.rows("conversations") - conversations
                #expect(made == (request.path == "/v1/conversations/c/messages" ? 0 : 1))
                let written = try await chat.rows("messages") - messages
                if request.path == "/v1/conversations/c/messages" {
                    #expect(written == (request.body?.contains("two") == true ? 3 : 1))
                }
            }
            try await chat.expectSound("c", count: 5)
            try await chat.expectNoLeftovers()
        }
    }

    @Test(
        "a request whose process dies before the commit leaves neither its rows nor its key",
        arguments: TestEngine.allCases
    )
    func crash(engine: TestEngine) async throws {
        struct Died: Error {}
        try await withChat(engine, counting: true) { chat in
            try await chat.create(#"{"id":"c"}"#)
            let counting = try #require(chat.database as? CountingDatabase)
            counting.forget()
            let body = #"{"role":"user","content":"x"}"#
            func send() async throws -> Answer {
                try await chat.send(.post, "/v1/conversations/c/messages", body, headers: Self.key("k"))
            }
            // The key is part of the one transaction that does the work.
            #expect(try await send().status == 201)
            #expect(
                counting.transactions == [
                    [
                        "principals.touch", "principals.state", "idempotency.claim", "idempotency.close",
                        "conversations.lock", "messages.insert", "usage.count", "conversations.advance",
                        "idempotency.release", "idempotency.read", "idempotency.open",
                    ]
                ]
            )
            // So an interrupted transaction leaves nothing that a retry could take for an answer.
            let caller = Caller(id: "owner", kind: "user")
            let attempt = IdempotentAttempt(testKey: "cut", route: "POST /x", body: "{}")
            let now = attempt.identity.at
            let draft = try ConversationDraft(JSONBody(try JSONElement.parse("{}")), identify: { "" })
            var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: "fresh")
            transaction.add(
                ConversationStatements.insert(draft: draft, id: "fresh", owner: "owner", isComplete: true, at: now)
            )
            let statements = transaction.closed().transaction.statements
            for length in 1..<statements.count {
                await #expect(throws: Died.self) {
                    try await chat.database.holdingTransaction { transaction in
                        for statement in statements.prefix(length) { try transaction.run(statement) }
                        throw Died()
                    }
                }
                #expect(try await chat.rows("idempotency_keys WHERE key = 'cut'") == 0)
                #expect(try await chat.rows("conversations WHERE id = 'fresh'") == 0)
            }
            _ = try await chat.database.run(Transaction(statements))
            #expect(try await chat.rows("idempotency_keys WHERE key = 'cut'") == 1)
            #expect(try await chat.rows("conversations WHERE id = 'fresh'") == 1)
        }
    }

    @Test("a fork of many pieces is made once too", arguments: TestEngine.allCases)
    func longFork(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(1100, in: "c")
            let answers = try await inParallel(6) { index in
                try await chat.send(.post, "/v1/conversations/c/fork", headers: Self.key("k"), node: index)
            }
            #expect(answers.allSatisfy { $0.status == 201 })
            #expect(Set(answers.map(\.text)).count == 1)
            #expect(try await chat.rows("conversations") == 2)
            #expect(try await chat.rows("messages") == 2200)
            try await chat.expectNoLeftovers()
        }
    }
}

extension Chat {
    func expectNoLeftovers() async throws {
        #expect(try await leftovers() == 0)
        #expect(try await rows("principals WHERE is_replaying") == 0)
    }
}
