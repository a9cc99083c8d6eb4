import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Races")
struct MessageRaceTests {
    @Test("32 concurrent appends get the numbers 1 to n without a gap", arguments: TestEngine.allCases)
    func appends(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation()
            // Single ones and batches of three, with and without ids.
            let statuses = try await inParallel(32) { index in
                let item = { (n: Int) in
                    let own = index.isMultiple(of: 3) ? #","id":"m-\#(index)-\#(n)""# : ""
                    return #"{"role":"user","content":"\#(index)"\#(own)}"#
                }
                let body = index.isMultiple(of: 2) ? item(0) : #"{"messages":[\#(item(0)),\#(item(1)),\#(item(2))]}"#
                return try await chat.send(.post, "/v1/conversations/\(id)/messages", body, node: index).status
            }
            #expect(statuses.allSatisfy { $0 == 201 })
            try await chat.expectSound(id, count: 16 + 16 * 3)
            // A batch stays together.
            let messages = try await chat.messages(id)
            let batches = Dictionary(grouping: messages) { $0["content"]?.string ?? "" }
            for batch in batches.values {
                let numbers = batch.compactMap { $0["seq"]?.integer }
                #expect(numbers == (0..<batch.count).map { Int64($0) + (numbers.first ?? 0) })
            }
            for (message, previous) in zip(messages.dropFirst(), messages) {
                #expect(message["parent_id"]?.string == previous["id"]?.string)
            }
        }
    }

    @Test("of 16 concurrent batches that share an id in the middle one is kept", arguments: TestEngine.allCases)
    func sharedID(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            // Four conversations of two owners, so that the index decides and no lock of ours.
            let homes = [("c-0", "owner"), ("c-1", "owner"), ("c-2", "stranger"), ("c-3", "stranger")]
            for (id, user) in homes { try await chat.create(#"{"id":"\#(id)"}"#, as: user) }
            let statuses = try await inParallel(16) { index in
                let (id, user) = homes[index % 4]
                let body = """
                    {"messages":[{"role":"user","content":"a\(index)"},{"role":"user","content":"b","id":"shared"},
                                 {"role":"user","content":"c"}]}
                    """
                return try await chat.send(.post, "/v1/conversations/\(id)/messages", as: user, body, node: index)
                    .status
            }
            #expect(statuses.filter { $0 == 201 }.count == 1)
            #expect(statuses.filter { $0 == 409 }.count == 15)
            var total = 0
            for (id, user) in homes {
                let count = try await chat.messages(id, as: user).count
                total += count
                try await chat.expectSound(id, count: count, as: user)
            }
            #expect(total == 3)
            #expect(try await chat.leftovers() == 0)
        }
    }

    @Test(
        "of 16 concurrent creations with one id one is 201, with its own messages alone",
        arguments: TestEngine.allCases
    )
    func sharedConversationID(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let answers = try await inParallel(16) { index in
                let items = (0..<3).map { _ in #"{"role":"user","content":"\#(index)"}"# }.joined(separator: ",")
                let user = index.isMultiple(of: 2) ? "owner" : "stranger"
                let answer = try await chat.send(
                    .post,
                    "/v1/conversations",
                    as: user,
                    #"{"id":"one","slug":"s","messages":[\#(items)]}"#,
                    node: index / 2
                )
                return (user, answer.status)
            }
            #expect(answers.filter { $0.1 == 409 }.count == 15)
            let winner = try #require(answers.first { $0.1 == 201 }).0
            try await chat.expectSound("one", count: 3, as: winner)
            #expect(Set(try await chat.messages("one", as: winner).map { $0["content"]?.string }).count == 1)
            #expect(try await chat.leftovers() == 0)
        }
    }

    @Test("16 concurrent claims of one slug give it to one", arguments: TestEngine.allCases)
    func slugs(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            for index in 0..<16 { try await chat.create(#"{"id":"c-\#(index)"}"#) }
            let statuses = try await inParallel(16) { index in
                index.isMultiple(of: 2)
                    ? try await chat.send(.patch, "/v1/conversations/c-\(index)", #"{"slug":"s"}"#, node: index / 2)
                        .status
                    : try await chat.send(.post, "/v1/conversations", #"{"slug":"s"}"#, node: index / 2).status
            }
            #expect(statuses.filter { $0 < 300 }.count == 1)
            #expect(statuses.filter { $0 == 409 }.count == 15)
        }
    }

    @Test("16 concurrent merges of metadata lose no member", arguments: TestEngine.allCases)
    func merges(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let path = "/v1/conversations/\(try await chat.conversation())"
            let statuses = try await inParallel(16) { index in
                try await chat.send(.patch, path, #"{"metadata":{"k\#(index)":\#(index)}}"#, node: index).status
            }
            #expect(statuses.allSatisfy { $0 == 200 })
            let row = try await chat.send(.get, path).json
            #expect(row["metadata"]?.object?.count == 16)
            #expect(row["version"]?.integer == 17)
        }
    }

    @Test("of 16 concurrent changes with one If-Match one is made", arguments: TestEngine.allCases)
    func preconditions(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let path = "/v1/conversations/\(try await chat.conversation())"
            let statuses = try await inParallel(16) { index in
                try await chat.send(.patch, path, #"{"title":"\#(index)"}"#, headers: [.ifMatch: "\"v1\""], node: index)
                    .status
            }
            #expect(statuses.filter { $0 == 200 }.count == 1)
            #expect(statuses.filter { $0 == 412 }.count == 15)
        }
    }

    @Test("an append that races an erase is there before it or not at all", arguments: TestEngine.allCases)
    func erase(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation()
            let counted = Statement(
                "test.count",
                .reads,
                ["conversation": .text],
                "SELECT COUNT(*) AS n FROM messages WHERE conversation_id = :conversation"
            )
            let marked = Statement(
                "test.erase",
                .writes,
                ["id": .text, "at": .instant],
                "UPDATE principals SET erased_at = :at WHERE id = :id"
            )
            let outcomes = try await inParallel(33) { index -> (status: Int, atErase: Int64) in
                if index == 16 {
                    var transaction = Transaction()
                    transaction.add(marked.bind(["id": "owner", "at": Instant(seconds: 1)]))
                    let count = transaction.add(counted.bind(["conversation": id]))
                    let results = try await chat.database.run(transaction)
                    return (0, try results[count].rows[0].integer("n"))
                }
                let body = #"{"role":"user","content":"\#(index)"}"#
                return (try await chat.send(.post, "/v1/conversations/\(id)/messages", body, node: index).status, 0)
            }
            let erased = try #require(outcomes.first { $0.status == 0 })
            let appended = Int64(outcomes.filter { $0.status == 201 }.count)
            #expect(appended == erased.atErase)
            #expect(outcomes.filter { $0.status == 403 }.count == 32 - Int(appended))
            let after = try await chat.database.run(counted.bind(["conversation": id])).rows[0].integer("n")
            #expect(after == erased.atErase)
        }
    }
}
