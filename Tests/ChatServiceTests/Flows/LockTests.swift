// Forces the interleavings that races hit by luck: another transaction is open when the request arrives, and ends only
// once the request waits for it.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Locks")
struct LockTests {
    @Test("an append that meets an erase waits for it and then writes nothing", arguments: TestEngine.allCases)
    func erase(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let erase = Statement(
                "test.erase",
                .writes,
                ["id": .text, "at": .instant],
                "UPDATE principals SET erased_at = :at WHERE id = :id"
            )
            for (path, body) in [
                ("/v1/conversations/\(id)/messages", #"{"role":"user","content":"x"}"#),
                ("/v1/conversations", #"{"id":"late","messages":[{"role":"user","content":"x"}]}"#),
            ] {
                try await chat.mark("owner", active: true, erasedAt: nil)
                let answer = try await meeting(chat, engine, [erase.bind(["id": "owner", "at": Instant(seconds: 1)])]) {
                    try await chat.send(.post, path, body)
                }
                #expect(answer.status == 403)
                #expect(answer.code == "user_inactive")
            }
            try await chat.expectSound(id, count: 0)
            #expect(try await chat.send(.get, "/v1/conversations/late").status == 404)
        }
    }

    @Test("an erase that meets a write waits for it", arguments: TestEngine.allCases)
    func write(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create()
            let write = PrincipalTransaction(by: Caller(id: "owner", kind: "user"), at: Clock.system.now())
            try await meeting(chat, engine, write.base.statements) {
                try await chat.mark("owner", active: true, erasedAt: Instant(seconds: 1))
            }
            #expect(try await chat.send(.post, "/v1/conversations", "{}").code == "user_inactive")
        }
    }

    @Test("an append that meets another waits for it and takes the next number", arguments: TestEngine.allCases)
    func append(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let count = Statement(
                "test.advance",
                .writes,
                ["id": .text],
                """
                UPDATE conversations SET last_seq = 1, message_count = 1, head_message_id = 'other' WHERE id = :id
                """
            )
            let insert = Statement(
                "test.insert",
                .writes,
                ["conversation": .text, "at": .instant],
                """
                INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, parts)
                VALUES ('other', :conversation, 1, 'user', :at, :at, '[]')
                """
            )
            let answer = try await meeting(
                chat,
                engine,
                [count.bind(["id": id]), insert.bind(["conversation": id, "at": Instant(seconds: 1)])]
            ) {
                try await chat.send(.post, "/v1/conversations/\(id)/messages", #"{"role":"user","content":"x"}"#)
            }
            #expect(answer.status == 201)
            #expect(try answer.json["seq"]?.integer == 2)
            #expect(try answer.json["parent_id"]?.string == "other")
            try await chat.expectSound(id, count: 2)
        }
    }

    @Test("a patch and a deletion that meet a deletion wait for it and find nothing", arguments: TestEngine.allCases)
    func deletion(engine: TestEngine) async throws {
        let requests: [(HTTPRequest.Method, String?)] = [
            (.patch, #"{"content":"back","tokens_in":9}"#), (.delete, nil),
        ]
        for (method, body) in requests {
            try await withChat(engine) { chat in
                let id = try await chat.conversation(
                    #"{"messages":[{"role":"user","content":"x","id":"a"},{"role":"user","content":"x","id":"b"}]}"#
                )
                let owner = Caller(id: "owner", kind: "user")
                let now = Clock.system.now()
                var other = PrincipalTransaction(by: owner, at: now)
                other.add(contentsOf: [
                    ConversationCounterStatements.lock(conversation: id, owner: "owner"),
                    ConversationCounterStatements.deduct(
                        message: "b",
                        from: id,
                        owner: "owner",
                        expected: nil,
                        at: now
                    ),
                    MessageChangeStatements.delete(message: "b", from: id, owner: "owner", expected: nil, at: now),
                    MessageChangeStatements.adoptChildren(of: "b", in: id, owner: "owner", at: now),
                ])
                let answer = try await meeting(chat, engine, other.base.statements) {
                    try await chat.send(method, "/v1/conversations/\(id)/messages/b", body)
                }
                #expect(answer.status == 404)
                #expect(try await chat.ids("/v1/conversations/\(id)/messages") == ["a"])
                #expect(try await ChatInvariant.broken(in: chat.database) == [])
            }
        }
    }

    @Test("an append that meets a truncation waits for it and follows what is left", arguments: TestEngine.allCases)
    func truncation(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"x","id":"a"},{"role":"user","content":"x","id":"b"}]}"#
            )
            let owner = Caller(id: "owner", kind: "user")
            let now = Clock.system.now()
            var other = PrincipalTransaction(by: owner, at: now)
            other.add(contentsOf: [
                ConversationCounterStatements.lock(conversation: id, owner: "owner"),
                ConversationCounterStatements.deductNewest(of: id, owner: "owner", after: 1, limit: 100, at: now),
                MessageChangeStatements.truncate(conversation: id, owner: "owner", after: 1, limit: 100, at: now),
            ])
            let answer = try await meeting(chat, engine, other.base.statements) {
                try await chat.send(.post, "/v1/conversations/\(id)/messages", #"{"role":"user","content":"x"}"#)
            }
            #expect(answer.status == 201)
            #expect(try answer.json["seq"]?.integer == 3)
            #expect(try answer.json["parent_id"]?.string == "a")
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("a slug that another request is taking is waited for and found taken", arguments: TestEngine.allCases)
    func slug(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            try await chat.create(#"{"id":"other"}"#)
            let seen = Statement(
                "test.seen",
                .writes,
                ["id": .text],
                "UPDATE principals SET tokens_total = tokens_total WHERE id = :id"
            )
            let take = Statement(
                "test.take",
                .writes,
                ["slug": .text],
                "UPDATE conversations SET slug = :slug WHERE id = 'other'"
            )
            let change = try await meeting(chat, engine, [seen.bind(["id": "owner"]), take.bind(["slug": "s"])]) {
                try await chat.send(.patch, "/v1/conversations/\(id)", #"{"slug":"s"}"#)
            }
            #expect(change.code == "slug_taken")
            let creation = try await meeting(chat, engine, [seen.bind(["id": "owner"]), take.bind(["slug": "t"])]) {
                try await chat.send(.post, "/v1/conversations", #"{"slug":"t"}"#)
            }
            #expect(creation.code == "slug_taken")
        }
    }

    @Test("an id that another user's request is taking is waited for and found taken", arguments: TestEngine.allCases)
    func id(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let other = try await chat.conversation(as: "stranger")
            let insert = Statement(
                "test.insert",
                .writes,
                ["conversation": .text, "at": .instant],
                """
                INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, parts)
                VALUES ('shared', :conversation, 1, 'user', :at, :at, '[]')
                """
            )
            let count = Statement(
                "test.advance",
                .writes,
                ["id": .text],
                """
                UPDATE conversations SET last_seq = 1, message_count = 1, head_message_id = 'shared' WHERE id = :id
                """
            )
            let body =
                #"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b","id":"shared"},{"role":"user","content":"c"}]}"#
            let answer = try await meeting(
                chat,
                engine,
                [count.bind(["id": other]), insert.bind(["conversation": other, "at": Instant(seconds: 1)])]
            ) {
                try await chat.send(.post, "/v1/conversations/\(id)/messages", body)
            }
            #expect(answer.code == "id_taken")
            try await chat.expectSound(id, count: 0)
            try await chat.expectSound(other, count: 1, as: "stranger")
            #expect(try await chat.leftovers() == 0)
        }
    }
}

/// Runs a request while a transaction that executed `held` is open. On PostgreSQL it commits once the request waits,
/// which must happen. On SQLite, whose one writer is itself the lock, it commits at once.
private func meeting<T>(
    _ chat: Chat,
    _ engine: TestEngine,
    _ held: [BoundStatement],
    _ request: () async throws -> T
) async throws -> T {
    let (opened, signal) = AsyncStream<Void>.makeStream()
    async let wasWaitedFor = chat.database.holdingTransaction { transaction in
        defer { signal.finish() }
        for statement in held { try transaction.run(statement) }
        signal.yield()
        guard engine == .postgres else { return true }
        let waiting = Statement(
            "test.waiting",
            .reads,
            """
            SELECT COUNT(*) AS n FROM pg_locks waiting JOIN pg_locks own USING (transactionid)
            WHERE own.pid = pg_backend_pid() AND own.granted AND NOT waiting.granted
            """
        )
        let deadline = ContinuousClock.now + .seconds(25)
        while ContinuousClock.now < deadline {
            if let row = try transaction.run(waiting.bind()).first, try row.integer("n") > 0 { return true }
        }
        return false
    }
    for await _ in opened { break }
    let answer = try await request()
    #expect(try await wasWaitedFor)
    return answer
}
