// Messages of a megabyte and more: a limit on rows alone is none.
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Large messages")
struct LargeMessageTests {
    private static let owner = Caller(id: "owner", kind: "user")

    @Test(
        "a page ends before it has too many bytes, and its cursors lead to all the same",
        arguments: TestEngine.allCases
    )
    func pages(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            // A dozen of 1.5 MiB each, one larger than a page, and small ones around them.
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(30, in: "c")
            try await chat.enlarge("c", 8...20, to: 1_500_000)
            try await chat.enlarge("c", 14...14, to: Int(ConversationLimits.page) + 5)
            let messages = Messages(
                database: chat.database,
                clock: .system,
                ids: IDGenerator(.system),
                quotas: Quotas()
            )
            for limit in [100, 7] {
                for order in [MessageOrder.asc, .desc] {
                    for siblings in [false, true] {
                        let all = try await Self.walk(PageRequest.Direction.forward, limit) { request in
                            try await messages.list(
                                "c",
                                for: Self.owner,
                                page: request,
                                order: order,
                                siblings: siblings
                            )
                        }
                        #expect(all == (order == .asc ? Array(1...30) : Array((1...30).reversed())))
                        let back = try await Self.walk(PageRequest.Direction.backward, limit) { request in
                            try await messages.list(
                                "c",
                                for: Self.owner,
                                page: request,
                                order: order,
                                siblings: siblings
                            )
                        }
                        #expect(back == all)
                    }
                    let direction = order == .asc ? PageRequest.Direction.backward : .forward
                    let branch = try await Self.walk(direction, limit) { request in
                        try await messages.branch("c", leaf: nil, for: Self.owner, page: request, order: order)
                    }
                    #expect(branch == (order == .asc ? Array(1...30) : Array((1...30).reversed())))
                }
            }
            let root = try await messages.branch(
                "c",
                leaf: "c-1",
                for: Self.owner,
                page: PageRequest(limit: 1, cursor: nil, direction: .forward),
                order: .asc
            )
            #expect(root.items.map(\.sequence) == [1])
            for path in ["messages?limit=100&count=true", "messages?last=100", "messages?leaf=head&limit=100"] {
                let answer = try await chat.send(.get, "/v1/conversations/c/\(path)")
                #expect(answer.status == 200)
                #expect(answer.text.utf8.count < 9_000_000, "\(path)")
                #expect(answer.text.contains(#""has_more":true"#), "\(path)")
            }
            let whole = try await chat.send(.get, "/v1/conversations/c?include=messages,votes")
            #expect(whole.text.utf8.count < 9_000_000)
            #expect(whole.text.contains(#""messages_prev_cursor":"#))
            #expect(!whole.text.contains(#""messages_prev_cursor":null"#))
        }
    }

    /// The numbers of every page, by the cursors of one direction; checks each page's size.
    private static func walk(
        _ direction: PageRequest.Direction,
        _ limit: Int,
        _ page: (PageRequest) async throws -> Page<Message>
    ) async throws -> [Int64] {
        var numbers: [Int64] = []
        var cursor: Cursor?
        repeat {
            let page = try await page(PageRequest(limit: limit, cursor: cursor, direction: direction))
            #expect(page.items.count <= limit)
            let bytes = try page.items.reduce(0) { $0 + (try $1.row.text("parts")).utf8.count }
            #expect(bytes <= ConversationLimits.page || page.items.count == 1)
            try #require(!page.items.isEmpty)
            let own = page.items.map(\.sequence)
            numbers = direction == .forward ? numbers + own : own + numbers
            cursor = direction == .forward ? page.next : page.previous
            #expect(page.hasMore == (numbers.count < 30))
        } while cursor != nil && numbers.count < 30
        return numbers
    }

    @Test("a page of small messages is one unit, and one with large ones two", arguments: TestEngine.allCases)
    func units(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(100, in: "c")
            for (large, expected) in [
                (false, [["messages.later"]]), (true, [["messages.later"], ["messages.later_measured"]]),
            ] {
                if large { try await chat.enlarge("c", 50...50, to: 200_000) }
                counting.forget()
                let page = try await chat.send(.get, "/v1/conversations/c/messages?limit=100").json
                #expect(page["data"]?.array?.count == 100)
                #expect(page["has_more"]?.boolean == false)
                #expect(counting.transactions == expected)
            }
        }
    }

    // MARK: Transactions of bounded size

    /// Twelve messages of a megabyte, and the transactions of a request.
    private static func withLarge(
        _ engine: TestEngine,
        _ body: @Sendable @escaping (Chat, CountingDatabase) async throws -> Void
    ) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(12, in: "c")
            try await chat.enlarge("c", 1...12, to: 1_000_000)
            counting.forget()
            try await body(chat, counting)
        }
    }

    @Test("no unit of a fork copies more than half a megabyte and a message", arguments: TestEngine.allCases)
    func fork(engine: TestEngine) async throws {
        try await Self.withLarge(engine) { chat, counting in
            let answer = try await chat.send(.post, "/v1/conversations/c/fork")
            #expect(answer.status == 201, "\(answer.text)")
            #expect(counting.transactions.count { $0.contains("forks.copy") } == 12)
            #expect(counting.transactions.allSatisfy { transaction in transaction.count { $0 == "forks.copy" } <= 1 })
            let id = try #require(try answer.json["id"]?.string)
            #expect(try answer.json["message_count"]?.integer == 12)
            let same = "JOIN messages o ON o.conversation_id = 'c' AND o.seq = m.seq AND o.parts = m.parts"
            #expect(try await chat.rows("messages m \(same) WHERE m.conversation_id = '\(id)'") == 12)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            #expect(try await chat.leftovers() == 0)
        }
    }

    @Test("no unit of a truncation deletes more than half a megabyte and a message", arguments: TestEngine.allCases)
    func truncate(engine: TestEngine) async throws {
        try await Self.withLarge(engine) { chat, counting in
            let answer = try await chat.send(.delete, "/v1/conversations/c/messages?after_seq=1")
            #expect(try answer.json["deleted"]?.integer == 11, "\(answer.text)")
            #expect(try answer.json["head_message_id"]?.string == "c-1")
            #expect(counting.transactions.count { $0.contains("messages.truncate") } == 11)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("no unit of a removal takes more than half a megabyte and a message", arguments: TestEngine.allCases)
    func remove(engine: TestEngine) async throws {
        try await Self.withLarge(engine) { chat, counting async throws in
            #expect(try await chat.send(.delete, "/v1/conversations/c?permanent=true").status == 204)
            #expect(counting.transactions.count { $0.contains("trash.remove_messages") } == 12)
            #expect(try await chat.rows("messages") == 0)
            #expect(try await chat.rows("conversations") == 0)
        }
    }

    @Test("an erase is as careful, across conversations, and its receipt exact", arguments: TestEngine.allCases)
    func erase(engine: TestEngine) async throws {
        try await Self.withLarge(engine) { chat, counting in
            for number in 0..<3 {
                try await chat.create(#"{"id":"d\#(number)","messages":[{"role":"user","content":"x"}]}"#)
            }
            try await chat.create(#"{"id":"long"}"#)
            try await chat.chain(700, in: "long")
            counting.forget()
            let answer = try await chat.send(.delete, "/v1/chat/data")
            #expect(try answer.json["status"]?.string == "completed", "\(answer.text)")
            #expect(try answer.json["removed"]?["messages"]?.integer == 715)
            #expect(try answer.json["removed"]?["conversations"]?.integer == 5)
            // Twelve of a megabyte are a transaction each; one more finds nothing.
            #expect(counting.transactions.count { $0.contains("erase.delete_messages") } >= 14)
            #expect(try await chat.rows("messages") == 0)
        }
    }

    @Test("a deletion of all takes trash of many conversations, large and small", arguments: TestEngine.allCases)
    func removeAll(engine: TestEngine) async throws {
        try await Self.withLarge(engine) { chat, counting in
            for number in 0..<3 {
                try await chat.create(#"{"id":"d\#(number)","messages":[{"role":"user","content":"x"}]}"#)
            }
            let answer = try await chat.send(.delete, "/v1/conversations?all=true&permanent=true")
            #expect(answer.status == 200, "\(answer.text)")
            #expect(counting.transactions.count { $0.contains("trash.remove_some_messages") } >= 12)
            #expect(try await chat.rows("messages") == 0)
            #expect(try await chat.rows("conversations") == 0)
        }
    }

    @Test(
        "a message with very many children gives them away in pieces before it is deleted",
        arguments: TestEngine.allCases
    )
    func children(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            try await chat.create(#"{"id":"c"}"#)
            try await chat.chain(1203, in: "c")
            let fan = Statement(
                "test.fan",
                .writes,
                ["conversation": .text],
                "UPDATE messages SET parent_id = 'c-2' WHERE conversation_id = :conversation AND seq > 2"
            )
            _ = try await chat.database.run(fan.bind(["conversation": "c"]))
            let path = "/v1/conversations/c/messages/c-2"
            let refused = try await chat.send(.delete, path, headers: [.ifMatch: "\"v7\""])
            #expect(refused.status == 412)
            #expect(try await chat.rows("messages WHERE parent_id = 'c-2'") == 1201)
            counting.forget()
            #expect(try await chat.send(.delete, path, headers: [.ifMatch: "\"v1\""]).status == 204)
            // 500, 500, 201, and one that finds none.
            #expect(counting.transactions.count { $0.contains("messages.adopt_some") } == 4)
            #expect(counting.transactions.count { $0.contains("messages.delete") } == 2)
            #expect(
                try await chat.rows("messages WHERE parent_id = 'c-1' AND version = 2 AND deleted_at IS NULL") == 1201
            )
            #expect(try await chat.rows("messages WHERE deleted_at IS NULL") == 1202)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            // A few are handled in the deletion's own transaction.
            counting.forget()
            try await chat.append(#"{"role":"user","content":"x","parent_id":"c-3"}"#, to: "c")
            counting.forget()
            #expect(try await chat.send(.delete, "/v1/conversations/c/messages/c-3").status == 204)
            #expect(counting.transactions.count == 1)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }
}

extension Chat {
    /// Enlarges messages of a conversation made by `chain`.
    func enlarge(_ conversation: String, _ numbers: ClosedRange<Int>, to bytes: Int) async throws {
        let frame = #"[{"type":"text","text":""}]"#
        let text = Hex.encode(RandomSource.system.bytes((bytes - frame.utf8.count) / 2 + 1))
        let parts = #"[{"type":"text","text":"\#(text.prefix(bytes - frame.utf8.count))"}]"#
        let statement = Statement(
            "test.enlarge",
            .writes,
            ["conversation": .text, "first": .integer, "last": .integer, "parts": .text],
            "UPDATE messages SET parts = :parts WHERE conversation_id = :conversation AND seq >= :first AND seq <= :last"
        )
        _ = try await database.run(
            statement.bind([
                "conversation": conversation, "first": Int64(numbers.lowerBound), "last": Int64(numbers.upperBound),
                "parts": parts,
            ])
        )
    }
}
