import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Cleanup of chat")
struct ChatCleanupTests {
    private static let day: Duration = .seconds(86_400)

    @Test("the trash is emptied after its time, in pieces, and nothing else is", arguments: TestEngine.allCases)
    func trash(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            try await chat.create(#"{"id":"kept","messages":[{"role":"user","content":"x"}]}"#)
            try await chat.create(#"{"id":"old"}"#)
            try await chat.chain(700, in: "old")
            try await chat.create(#"{"id":"theirs"}"#, as: "stranger")
            try await chat.fill(600, at: clock.clock.now())
            for (id, user) in [("old", "owner"), ("theirs", "stranger")] {
                #expect(try await chat.send(.delete, "/v1/conversations/\(id)", as: user).status == 204)
            }
            let bin = Statement(
                "test.bin",
                .writes,
                ["at": .instant],
                "UPDATE conversations SET deleted_at = :at WHERE id LIKE 'f-%'"
            )
            _ = try await chat.database.run(bin.bind(["at": clock.clock.now()]))
            let cleanup = chat.cleanup(clock.clock)
            clock.advance(Self.day * 30 - .seconds(1))
            #expect(try await cleanup.run().counts.allSatisfy { $0.count == 0 })
            #expect(try await chat.send(.post, "/v1/conversations/theirs/restore", as: "stranger").status == 200)
            clock.advance(.seconds(1))
            let counts = try await cleanup.run().counts
            #expect(counts.first { $0.name == "chat_trash_conversations" }?.count == 601)
            #expect(counts.first { $0.name == "chat_trash_messages" }?.count == 700)
            #expect(try await chat.rows("conversations") == 2)
            try await chat.expectSound("kept", count: 1)
            try await chat.expectSound("theirs", count: 0, as: "stranger")
            #expect(try await cleanup.run().counts.allSatisfy { $0.count == 0 })
        }
    }

    @Test("what a process left half-removed is removed an hour later", arguments: TestEngine.allCases)
    func halfRemoved(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(30, in: "c")
            let end = TrashStatements.end(id: "c", owner: "owner", expected: nil, at: clock.clock.now())
            let some = TrashRemovalStatements.removeMessages(of: "c", owner: "owner", limit: 10)
            _ = try await chat.database.run(Transaction([end, some]))
            #expect(try await chat.rows("messages") == 20)
            #expect(try await chat.send(.get, "/v1/conversations/c").status == 404)
            #expect(try await chat.send(.post, "/v1/conversations/c/restore").status == 404)
            clock.advance(Trash.abandonedAfter)
            _ = try await chat.cleanup(clock.clock).run()
            #expect(try await chat.rows("conversations") == 0)
            #expect(try await chat.rows("messages") == 0)
        }
    }

    @Test(
        "reservations that can be settled no more and changes that are too old go, of whomever",
        arguments: TestEngine.allCases
    )
    func reservationsAndChanges(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for user in ["owner", "stranger"] {
                let body = #"{"tokens":5,"expires_in":60}"#
                #expect(try await chat.send(.post, "/v1/usage/reservations", as: user, body).status == 201)
                try await chat.create(as: user)
            }
            // The triggers use the database's clock.
            let age = Statement("test.age", .writes, ["at": .instant], "UPDATE changes SET at = :at")
            _ = try await chat.database.run(age.bind(["at": clock.clock.now()]))
            let cleanup = chat.cleanup(clock.clock, changeRetention: Self.day * 7)
            clock.advance(Self.day + .seconds(60))
            #expect(try await cleanup.run().counts.allSatisfy { $0.count == 0 })
            #expect(try await chat.rows("quota_reservations") == 2)
            // Not before every node's clock says so.
            clock.advance(.seconds(3601))
            #expect(try await cleanup.run().counts.filter { $0.count > 0 }.map(\.name) == ["chat_reservations"])
            #expect(try await chat.rows("quota_reservations") == 0)
            #expect(try await chat.rows("changes") == 2)
            clock.advance(Self.day * 6)
            let counts = try await cleanup.run().counts.filter { $0.count > 0 }
            #expect(counts.map(\.name) == ["chat_changes"] && counts.first?.count == 2)
            #expect(try await chat.rows("changes") == 0)
            #expect(try await cleanup.run().counts.allSatisfy { $0.count == 0 })
        }
    }

    @Test("one node at a time cleans, and a lease that ran out is taken over", arguments: TestEngine.allCases)
    func lease(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let one = chat.cleanup(clock.clock)
            let other = chat.cleanup(clock.clock)
            let taken = LeaseStatements.take(
                job: "cleanup",
                holder: "a third",
                until: clock.clock.now() + .seconds(300),
                at: clock.clock.now()
            )
            _ = try await chat.database.run(taken)
            #expect(try await one.runIfFree() == nil)
            let released = LeaseStatements.release(
                job: "cleanup",
                holder: "a third",
                result: nil,
                at: clock.clock.now()
            )
            _ = try await chat.database.run(released)
            #expect(try await other.runIfFree() != nil)
            _ = try await chat.database.run(taken)
            clock.advance(.seconds(300))
            #expect(try await chat.cleanup(clock.clock).runIfFree() != nil)
        }
    }

    @Test("a restore that races the end of the trash comes before it or not at all", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            for index in 0..<12 {
                let id = "c-\(index)"
                try await chat.create(#"{"id":"\#(id)","messages":[{"role":"user","content":"x"}]}"#)
                _ = try await chat.send(.delete, "/v1/conversations/\(id)")
            }
            let cleanup = chat.cleanup(.system, retention: .zero)
            let statuses = try await inParallel(13) { index -> (String, Int) in
                if index == 4 {
                    _ = try await cleanup.run()
                    return ("", 0)
                }
                let id = "c-\(index < 4 ? index : index - 1)"
                return (id, try await chat.send(.post, "/v1/conversations/\(id)/restore", node: index).status)
            }
            for (id, status) in statuses where !id.isEmpty {
                #expect([200, 404].contains(status))
                if status == 200 {
                    try await chat.expectSound(id, count: 1)
                } else {
                    #expect(try await chat.send(.get, "/v1/conversations/\(id)").status == 404)
                }
            }
            let kept = Int64(statuses.filter { $0.1 == 200 }.count)
            // A completed one is removed an hour later.
            #expect(try await chat.rows("conversations WHERE version > 0") == kept)
            #expect(try await chat.rows("conversations WHERE deleted_at IS NULL") == kept)
        }
    }
}
