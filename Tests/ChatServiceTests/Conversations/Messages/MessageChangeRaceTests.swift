// Concurrent changes of messages: in any order the tree is whole and the counters are exact.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Races of changes")
struct MessageChangeRaceTests {
    @Test("of 16 concurrent edits with one If-Match one is made", arguments: TestEngine.allCases)
    func edits(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"m"}]}"#)
            let path = "/v1/conversations/\(id)/messages/m"
            let statuses = try await inParallel(16) { index in
                try await chat.send(
                    .patch,
                    path,
                    #"{"content":"\#(index)","tokens_in":\#(index + 1)}"#,
                    headers: [.ifMatch: "\"v1\""],
                    node: index
                ).status
            }
            #expect(statuses.filter { $0 == 200 }.count == 1)
            #expect(statuses.filter { $0 == 412 }.count == 15)
            let row = try await chat.send(.get, path).json
            let content = try #require(row["content"]?.string)
            #expect(row["tokens_in"]?.integer == Int64(content).map { $0 + 1 })
            #expect(row["version"]?.integer == 2)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("an edit racing a deletion never brings the message back", arguments: TestEngine.allCases)
    func editAndDelete(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let items = (0..<16).map { #"{"role":"user","content":"x","id":"m\#($0)","tokens_in":1}"# }
            let id = try await chat.conversation(#"{"messages":[\#(items.joined(separator: ","))]}"#)
            let statuses = try await inParallel(32) { index in
                let path = "/v1/conversations/\(id)/messages/m\(index / 2)"
                let isEdit = index.isMultiple(of: 2)
                let answer =
                    isEdit
                    ? try await chat.send(.patch, path, #"{"content":"back","tokens_in":7}"#, node: index / 2)
                    : try await chat.send(.delete, path, node: index / 2 + 1)
                return (isEdit, answer.status)
            }
            #expect(statuses.filter { !$0.0 }.allSatisfy { $0.1 == 204 })
            #expect(statuses.filter(\.0).allSatisfy { $0.1 == 200 || $0.1 == 404 })
            #expect(try await chat.messages(id).isEmpty)
            let row = try await chat.send(.get, "/v1/conversations/\(id)").json
            #expect(row["message_count"]?.integer == 0)
            #expect(row["tokens_in"]?.integer == 0)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test(
        "an append to a parent that is being deleted follows the grandparent, or is refused",
        arguments: TestEngine.allCases
    )
    func appendToDeleted(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"root"}]}"#)
            for index in 0..<8 {
                try await chat.append(#"{"role":"user","content":"x","id":"p\#(index)","parent_id":"root"}"#, to: id)
            }
            let path = "/v1/conversations/\(id)/messages"
            let answers = try await inParallel(16) { index in
                index.isMultiple(of: 2)
                    ? try await chat.send(.delete, "\(path)/p\(index / 2)", node: index / 2)
                    : try await chat.send(
                        .post,
                        path,
                        #"{"role":"user","content":"x","id":"c\#(index / 2)","parent_id":"p\#(index / 2)"}"#,
                        node: index / 2 + 1
                    )
            }
            #expect(answers.allSatisfy { [201, 204].contains($0.status) || $0.violations == ["parent_id invalid"] })
            #expect(answers.filter { $0.status == 204 }.count == 8)
            for message in try await chat.messages(id) where message["id"]?.string != "root" {
                #expect(message["parent_id"]?.string == "root")
            }
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("appends racing a truncation are before it or after it", arguments: TestEngine.allCases)
    func appendAndTruncate(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation()
            for _ in 0..<3 {
                let items = (0..<100).map { _ in #"{"role":"user","content":"x","tokens_in":1}"# }
                try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            }
            let path = "/v1/conversations/\(id)/messages"
            let answers = try await inParallel(17) { index in
                index == 8
                    ? try await chat.send(.delete, "\(path)?after_seq=150", node: 1)
                    : try await chat.send(.post, path, #"{"role":"user","content":"late","tokens_in":1}"#, node: index)
            }
            #expect(answers.filter { $0.status == 201 }.count == 16)
            let truncation = try #require(answers.first { $0.status == 200 })
            let deleted = try #require(try truncation.json["deleted"]?.integer)
            let row = try await chat.send(.get, "/v1/conversations/\(id)").json
            #expect(row["last_seq"]?.integer == 316)
            #expect(row["message_count"]?.integer == 316 - deleted)
            #expect((150...166).contains(deleted))
            let left = try await chat.messages(id)
            #expect(left.prefix(150).compactMap { $0["seq"]?.integer } == Array(1...150))
            for (message, previous) in zip(left.dropFirst(), left) {
                #expect(message["parent_id"]?.string == previous["id"]?.string)
            }
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("appends racing the trash are in the conversation or refused", arguments: TestEngine.allCases)
    func appendAndTrash(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation()
            let path = "/v1/conversations/\(id)"
            let statuses = try await inParallel(17) { index in
                index == 8
                    ? try await chat.send(.delete, path, node: 1).status
                    : try await chat.send(.post, "\(path)/messages", #"{"role":"user","content":"x"}"#, node: index)
                        .status
            }
            #expect(statuses.filter { $0 == 204 }.count == 1)
            #expect(statuses.filter { $0 == 201 || $0 == 404 }.count == 16)
            let count = Statement(
                "test.rows",
                .reads,
                ["conversation": .text],
                "SELECT COUNT(*) AS n FROM messages WHERE conversation_id = :conversation"
            )
            let rows = try #require(try await chat.database.run(count.bind(["conversation": id])).first).integer("n")
            #expect(rows == Int64(statuses.filter { $0 == 201 }.count))
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("32 concurrent patches of tokens lose none", arguments: TestEngine.allCases)
    func tokens(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let items = (0..<4).map { #"{"role":"assistant","content":"x","id":"m\#($0)","status":"in_progress"}"# }
            let id = try await chat.conversation(#"{"messages":[\#(items.joined(separator: ","))]}"#)
            let statuses = try await inParallel(32) { index in
                try await chat.send(
                    .patch,
                    "/v1/conversations/\(id)/messages/m\(index % 4)",
                    #"{"tokens_in":\#(index),"tokens_out":\#(index * 2)}"#,
                    node: index / 4
                ).status
            }
            #expect(statuses.allSatisfy { $0 == 200 })
            for message in try await chat.messages(id) { #expect(message["version"]?.integer == 9) }
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("16 concurrent merges of a message's metadata lose no member", arguments: TestEngine.allCases)
    func merges(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"m"}]}"#)
            let path = "/v1/conversations/\(id)/messages/m"
            let statuses = try await inParallel(16) { index in
                try await chat.send(.patch, path, #"{"metadata":{"k\#(index)":\#(index)}}"#, node: index).status
            }
            #expect(statuses.allSatisfy { $0 == 200 })
            #expect(try await chat.send(.get, path).json["metadata"]?.object?.count == 16)
        }
    }
}
