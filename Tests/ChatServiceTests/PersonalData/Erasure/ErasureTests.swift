// An erasure is final: concurrent writes are refused or erased, an interrupted job resumes, and the receipt is exact.
import HTTPTypes
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@testable import ChatService

@Suite("Erasures")
struct ErasureTests {
    @Test(
        "append racing erase: nothing stays, and what was answered is what the receipt counts",
        arguments: TestEngine.allCases
    )
    func appendRacingErase(engine: TestEngine) async throws {
        try await withNodes(engine) { chat async throws in
            let id = try await chat.conversation()
            let kept = try await chat.conversation(#"{"messages":[{"role":"user","content":"x"}]}"#, as: "stranger")
            let answers = try await inParallel(40) { index -> (status: Int, conversations: Int64, messages: Int64) in
                if index == 15 { return (try await chat.send(.delete, "/v1/chat/data", node: index).status, 0, 0) }
                if index.isMultiple(of: 4) {
                    let body = #"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#
                    return (try await chat.send(.post, "/v1/conversations", body, node: index).status, 1, 2)
                }
                let body = #"{"role":"user","content":"x"}"#
                return (
                    try await chat.send(.post, "/v1/conversations/\(id)/messages", body, node: index).status, 0, 1
                )
            }
            #expect(Set(answers.map(\.status)).isSubset(of: [200, 202, 201, 403]), "\(answers.map(\.status))")
            try await chat.erasures.finishOpen()
            let receipt = try #require(try await chat.erasures.receipt(of: "owner"))
            let written = answers.filter { $0.status == 201 }
            #expect(receipt.count("conversations") == 1 + written.reduce(0) { $0 + $1.conversations })
            #expect(receipt.count("messages") == written.reduce(0) { $0 + $1.messages })
            #expect(receipt.isCompleted)
            #expect(try await chat.rows(of: "owner") == [0, 0])
            // A token that is still valid brings nothing back.
            for (path, body) in [
                ("/v1/conversations", "{}"), ("/v1/conversations/\(id)/messages", #"{"role":"user","content":"x"}"#),
            ] {
                for node in 0..<2 {
                    let late = try await chat.send(.post, path, body, node: node)
                    #expect(late.status == 403 && late.code == "user_inactive")
                }
            }
            #expect(try await chat.rows(of: "owner") == [0, 0])
            #expect(try await chat.rows(of: "stranger") == [1, 1])
            try await chat.expectSound(kept, count: 1, as: "stranger")
        }
    }

    @Test(
        "small data is gone when the answer comes, and the receipt can be read ever after",
        arguments: TestEngine.allCases
    )
    func small(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            #expect(try await chat.send(.get, "/v1/chat/data/erasure").status == 404)
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","tokens_in":7}]}"#)
            let trashed = try await chat.conversation(#"{"messages":[{"role":"user","content":"y"}]}"#)
            #expect(try await chat.send(.delete, "/v1/conversations/\(trashed)").status == 204)
            try await chat.create(as: "stranger")

            let answer = try await chat.send(.delete, "/v1/chat/data")
            #expect(answer.status == 200)
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(try answer.json["status"]?.string == "completed")
            #expect(try answer.json["reason"]?.string == "requested")
            #expect(try answer.json["removed"]?["conversations"]?.integer == 2)
            #expect(try answer.json["removed"]?["messages"]?.integer == 2)
            // Any repetition returns the same receipt.
            #expect(try await chat.send(.delete, "/v1/chat/data").text == answer.text)
            #expect(try await chat.send(.get, "/v1/chat/data/erasure").text == answer.text)
            #expect(try await chat.send(.get, "/v1/chat/data/erasure", as: "stranger").status == 404)
            for path in [
                "/v1/conversations", "/v1/conversations/\(id)", "/v1/conversations/\(id)/messages", "/v1/chat/export",
            ] {
                let refused = try await chat.send(.get, path)
                #expect(refused.status == 403 && refused.code == "user_inactive", "\(path)")
            }
            #expect(try await chat.send(.get, "/v1/conversations", as: "stranger").json["data"]?.array?.count == 1)
            let tombstone = try #require(try await chat.principal("owner"))
            #expect(try tombstone.optionalText("display_name") == nil)
            #expect(try tombstone.integer("tokens_total") == 0)
            #expect(try tombstone.optionalInstant("erased_at") != nil)
        }
    }

    @Test("somebody who never wrote can be erased, and can never write", arguments: TestEngine.allCases)
    func unknown(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let answer = try await chat.send(.delete, "/v1/chat/data")
            #expect(answer.status == 200)
            #expect(try await chat.send(.post, "/v1/conversations", "{}").code == "user_inactive")
        }
    }

    @Test("somebody deactivated erases nothing", arguments: TestEngine.allCases)
    func deactivated(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create()
            try await chat.mark("owner", active: false, erasedAt: nil)
            let answer = try await chat.send(.delete, "/v1/chat/data")
            #expect(answer.status == 403 && answer.code == "user_inactive")
            #expect(try await chat.rows(of: "owner") == [1, 0])
            #expect(try await chat.erasures.receipt(of: "owner") == nil)
        }
    }

    @Test("a job that stops is carried on by another, and each row is counted once", arguments: TestEngine.allCases)
    func resumed(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let id = try await chat.conversation()
            try await chat.fill(id, count: 1300)
            for _ in 0..<3 { try await chat.create() }
            let now = Clock.system.now()
            let first = chat.erasures
            let erasure = first.begin(of: "owner", reason: .userDeleted, by: nil, at: now)
            _ = try await chat.database.run(
                Transaction([Principals.markErased(principal: "owner", includingInactive: true, at: now), erasure])
            )
            let receipt = try #require(try await first.receipt(of: "owner"))
            // A transaction for each kind without rows, two for messages, and the node is gone.
            let left = Countdown(4 + 2)
            #expect(try await !first.work(receipt.id) { left.tick() })
            #expect(try await chat.rows(of: "owner") == [1, 800])
            #expect(try await first.receipt(of: "owner")?.isCompleted == false)
            // Reads and writes have ended nevertheless.
            let late = try await chat.send(.post, "/v1/conversations", "{}")
            #expect(late.code == "user_inactive")

            #expect(try await chat.erasures.finishOpen() == 1)
            let done = try #require(try await chat.erasures.receipt(of: "owner"))
            #expect(done.isCompleted && done.count("messages") == 1300 && done.count("conversations") == 4)
            #expect(try await chat.rows(of: "owner") == [0, 0])
            #expect(try await chat.erasures.finishOpen() == 0)
        }
    }

    @Test("each unit removes 500 rows at most, however they lie", arguments: TestEngine.allCases)
    func smallUnits(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat async throws in
            let counting = try #require(chat.database as? CountingDatabase)
            // First empty ones, then short ones, and one that is long.
            try await chat.fillConversations(1200, of: "owner", messagesIn: 400)
            try await chat.fill("owner-0700", count: 1100)
            counting.forget()
            let receipt = try #require(try await chat.send(.delete, "/v1/chat/data").json["removed"])
            #expect(receipt["conversations"]?.integer == 1200)
            #expect(receipt["messages"]?.integer == 1500)
            let counted = counting.transactions.filter { $0.first == "erasures.lock" }
            // Twenty conversations with messages at a time, and the long one by itself.
            #expect((20...100).contains(counted.count), "\(counted.count)")
            #expect(try await chat.rows(of: "owner") == [0, 0])
        }
    }

    @Test(
        "an erasure is complete only when the bytes have been let go, and the job comes again until then",
        arguments: TestEngine.allCases
    )
    func bytesFirst(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat async throws in
            let database = try #require(chat.database as? CountingDatabase)
            try await chat.create(#"{"messages":[{"role":"user","content":"x"}]}"#)
            let erasures = chat.erasures
            let seen = Mutex<[Bool?]>([])
            let isInTheWay = Mutex(true)
            database.beforeReclaiming {
                let receipt = try? await erasures.receipt(of: "owner")
                seen.withLock { $0.append(receipt?.isCompleted) }
                return isInTheWay.withLock { !$0 }
            }
            let answer = try await chat.send(.delete, "/v1/chat/data")
            #expect(answer.status == 202, "\(answer.text)")
            #expect(try await chat.rows(of: "owner") == [0, 0])
            #expect(try await erasures.finishOpen() == 0)
            #expect(try await chat.send(.get, "/v1/chat/data/erasure").json["status"]?.string == "running")
            isInTheWay.withLock { $0 = false }
            #expect(try await erasures.finishOpen() == 1)
            let receipt = try await chat.send(.get, "/v1/chat/data/erasure").json
            #expect(receipt["status"]?.string == "completed")
            #expect(receipt["removed"]?["messages"]?.integer == 1)
            // Never after the receipt said so.
            #expect(seen.withLock { $0.count >= 3 && $0.allSatisfy { $0 == false } })
        }
    }

    @Test(
        "an erasure that waits for the log keeps nobody else's rows, and nothing is done over while it waits",
        arguments: TestEngine.allCases
    )
    func waiting(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat async throws in
            let database = try #require(chat.database as? CountingDatabase)
            for user in ["owner", "stranger"] {
                try await chat.create(#"{"messages":[{"role":"user","content":"x"}]}"#, as: user)
            }
            let asked = Mutex(0)
            let isInTheWay = Mutex(true)
            database.beforeReclaiming {
                asked.withLock { $0 += 1 }
                return isInTheWay.withLock { !$0 }
            }
            let erasures = chat.erasures
            func begin(_ user: String) async throws {
                let now = Clock.system.now()
                _ = try await chat.database.run(
                    Transaction([
                        Principals.markErased(principal: user, includingInactive: true, at: now),
                        erasures.begin(of: user, reason: .userDeleted, by: nil, at: now),
                    ])
                )
            }
            var progress = ErasureProgress(pause: .seconds(600))
            try await begin("owner")
            var completed = try await erasures.finishOpen(&progress)
            #expect(completed == 0)
            // More than one read returns, and one with content last.
            try await chat.beginErasures(101)
            try await begin("stranger")
            completed = try await erasures.finishOpen(&progress)
            #expect(completed == 0)
            #expect(try await chat.rows(of: "owner") == [0, 0])
            #expect(try await chat.rows(of: "stranger") == [0, 0])
            for user in ["owner", "stranger"] {
                let receipt = try await erasures.receipt(of: user)
                #expect(receipt?.isCompleted == false && receipt?.count("messages") == 1, "\(user)")
            }
            database.forget()
            completed = try await erasures.finishOpen(&progress)
            #expect(completed == 0)
            #expect(database.transactions == [["erasures.open"], ["erasures.open"]])
            #expect(asked.withLock { $0 } == 1)

            isInTheWay.withLock { $0 = false }
            // As another node without the pause.
            #expect(try await erasures.finishOpen() == 103)
            #expect(asked.withLock { $0 } == 2)
            for user in ["owner", "stranger"] {
                #expect(try await erasures.receipt(of: user)?.isCompleted == true)
            }
        }
    }

    @Test("two nodes at one erasure count each row once", arguments: TestEngine.allCases)
    func twoNodes(engine: TestEngine) async throws {
        try await withNodes(engine) { chat async throws in
            let id = try await chat.conversation()
            try await chat.fill(id, count: 2600)
            let now = Clock.system.now()
            let erasures = chat.erasures
            _ = try await chat.database.run(
                Transaction([
                    Principals.markErased(principal: "owner", includingInactive: true, at: now),
                    erasures.begin(of: "owner", reason: .admin, by: nil, at: now),
                ])
            )
            _ = try await inParallel(4) { _ in try await chat.erasures.finishOpen() }
            let receipt = try #require(try await chat.erasures.receipt(of: "owner"))
            #expect(receipt.isCompleted && receipt.count("messages") == 2600 && receipt.count("conversations") == 1)
        }
    }

    @Test("no statement of an erasure touches anybody who has no tombstone", arguments: TestEngine.allCases)
    func tombstoneOnly(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create(#"{"messages":[{"role":"user","content":"x"}]}"#)
            // An erasure that a bug might have made.
            let forged = Statement(
                "test.forged",
                .writes,
                ["at": .instant],
                "INSERT INTO erasures (id, principal_id, reason, requested_at) VALUES ('e', 'owner', 'admin', :at)"
            )
            _ = try await chat.database.run(forged.bind(["at": Clock.system.now()]))
            for rows in ChatService.erasure.flatMap(\.rows) {
                _ = try await ErasedRows(rows).remove(for: "e", in: chat.database)
            }
            #expect(try await chat.rows(of: "owner") == [1, 1])
        }
    }

    @Test("a refusal that another node made is seen by the next look", arguments: TestEngine.allCases)
    func watch(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            for user in ["gone", "off", "fine"] { try await chat.create(as: user) }
            let blocked = BlockedPrincipals()
            let now = Clock.system.now()
            let watch = BlockedPrincipalsWatch(
                blocked: blocked,
                database: chat.database,
                clock: .system,
                logger: .quiet
            )
            _ = try await chat.database.run(Principals.markErased(principal: "gone", includingInactive: true, at: now))
            let off = Statement(
                "test.off",
                .writes,
                ["at": .instant],
                "UPDATE principals SET is_active = FALSE, deactivated_at = :at WHERE id = 'off'"
            )
            _ = try await chat.database.run(off.bind(["at": now]))
            try await watch.refresh()
            #expect(blocked.contains("gone") && blocked.contains("off") && !blocked.contains("fine"))
            // A concurrent read does not undo this node's own block.
            blocked.set("off", isBlocked: false)
            try await watch.refresh()
            #expect(!blocked.contains("off") && blocked.contains("gone"))
        }
    }

    @Test("a lease is one node's, until it lets go or runs out", arguments: TestEngine.allCases)
    func lease(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let time = TestClock()
            func lease(_ holder: String) -> JobLease {
                JobLease("job", holder: holder, database: chat.database, clock: time.clock)
            }
            let one = lease("one")
            #expect(try await one.hold())
            #expect(try await !lease("two").hold())
            await one.release()
            #expect(try await lease("two").hold())
            #expect(try await !lease("three").hold())
            time.advance(.seconds(31))
            #expect(try await lease("three").hold())
        }
    }
}

final class Countdown: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) { left = Atomic(count) }

    func tick() -> Bool { left.subtract(1, ordering: .relaxed).newValue >= 0 }
}

extension ErasureReceipt {
    func count(_ entity: String) -> Int64 { removed.first { $0.entity == entity }?.count ?? 0 }
}

extension Chat {
    /// As another process would have them.
    var erasures: Erasures {
        Erasures(
            database: database,
            steps: ChatService.erasure,
            blocked: BlockedPrincipals(),
            clock: .system,
            ids: IDGenerator(.system),
            logger: .quiet
        )
    }

    func rows(of owner: String) async throws -> [Int64] {
        let statement = Statement(
            "test.rows",
            .reads,
            ["owner": .text],
            """
            SELECT (SELECT COUNT(*) FROM conversations WHERE owner_id = :owner) AS conversations,
                (SELECT COUNT(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.owner_id = :owner)
                    AS messages
            """
        )
        let row = try #require(try await database.run(statement.bind(["owner": owner])).first)
        return [try row.integer("conversations"), try row.integer("messages")]
    }

    /// Begins erasures of people without data, bypassing the service.
    func beginErasures(_ count: Int) async throws {
        let now = Clock.system.now()
        let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
        let people = Statement(
            "test.people",
            .writes,
            ["count": .integer, "at": .instant],
            """
            INSERT INTO principals (id, kind, first_seen_at, last_seen_at, erased_at)
            \(numbers) SELECT 'nobody-' || n, 'user', :at, :at, :at FROM numbers
            """
        )
        let erasures = Statement(
            "test.erasures",
            .writes,
            ["count": .integer, "at": .instant],
            """
            INSERT INTO erasures (id, principal_id, reason, requested_at)
            \(numbers) SELECT 'erasure-' || n, 'nobody-' || n, 'admin', :at FROM numbers
            """
        )
        _ = try await database.run(
            Transaction([
                people.bind(["count": Int64(count), "at": now]), erasures.bind(["count": Int64(count), "at": now]),
            ])
        )
    }

    func principal(_ id: String) async throws -> Row? {
        let statement = Statement(
            "test.principal",
            .reads,
            ["id": .text],
            """
            SELECT id, kind, display_name, avatar_url, is_active, tokens_total, deactivated_at, erased_at
            FROM principals WHERE id = :id
            """
        )
        return try await database.run(statement.bind(["id": id])).first
    }

    /// Bypasses the service; the last ones have a message.
    func fillConversations(_ count: Int, of owner: String, messagesIn last: Int) async throws {
        try await create(as: owner)
        _ = try await database.run(Statement("test.clear", .writes, "DELETE FROM conversations").bind())
        let now = Clock.system.now()
        let numbers = """
            WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
            """
        let conversations = Statement(
            "test.conversations",
            .writes,
            ["owner": .text, "at": .instant, "first": .integer, "last": .integer],
            """
            INSERT INTO conversations (id, owner_id, created_at, updated_at)
            \(numbers) SELECT :owner || '-' || substr(CAST(10000 + n AS TEXT), 2), :owner, :at, :at FROM numbers
            """
        )
        let messages = Statement(
            "test.messages",
            .writes,
            ["owner": .text, "at": .instant, "first": .integer, "last": .integer],
            """
            INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, parts)
            \(numbers) SELECT 'm-' || n, :owner || '-' || substr(CAST(10000 + n AS TEXT), 2), 1, 'user', :at, :at, '[]'
            FROM numbers
            """
        )
        let end = Int64(count)
        _ = try await database.run(
            Transaction([
                conversations.bind(["owner": owner, "at": now, "first": 1, "last": end]),
                messages.bind(["owner": owner, "at": now, "first": end - Int64(last) + 1, "last": end]),
            ])
        )
    }

    /// Bypasses the service, for tests with many messages.
    func fill(_ conversation: String, count: Int, content: String = "some words") async throws {
        let now = Clock.system.now()
        let insert = Statement(
            "test.fill",
            .writes,
            ["conversation": .text, "count": .integer, "at": .instant, "text": .text, "parts": .text],
            """
            INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, content_text, parts)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
            SELECT :conversation || '-' || n, :conversation, n, 'user', :at, :at, :text, :parts FROM numbers
            """
        )
        let count64 = Int64(count)
        let advance = Statement(
            "test.fill_advance",
            .writes,
            ["conversation": .text, "count": .integer, "at": .instant],
            """
            UPDATE conversations SET last_seq = :count, message_count = :count, head_message_id = :conversation || '-' || :count,
                last_message_at = :at WHERE id = :conversation
            """
        )
        let parts = #"[{"type":"text","text":"\#(content)"}]"#
        _ = try await database.run(
            Transaction([
                insert.bind([
                    "conversation": conversation, "count": count64, "at": now, "text": content, "parts": parts,
                ]), advance.bind(["conversation": conversation, "count": count64, "at": now]),
            ]),
            priority: .long
        )
    }
}
