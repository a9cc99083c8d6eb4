// A person's data as a file and back: nothing lost, nothing twice, and no other user's id taken.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Exports and imports")
struct ExportTests {
    /// Every form of a row.
    private func fill(_ chat: Chat) async throws {
        // Parts with white space, line breaks, unknown types and members, and numbers that no parser should change.
        let odd =
            "[ {\"type\":\"text\",\n  \"text\":\"a\\u00e9 \\\"b\\\"\"},\t{\"type\":\"x-unknown\",\"n\":1.10,\"z\":[1e400]} ]"
        try await chat.create(
            """
            {"id":"full","title":"A title","model":"m","slug":"full/slug","visibility":"unlisted",
             "settings":{ "temperature" : 0.50 },"metadata":{"folder":"x",
              "n":[1, 2]},
             "messages":[{"id":"f-1","role":"user","content":"first","tokens_in":3},
                         {"id":"f-2","role":"assistant","parts":\(odd),"model":"m","tokens_out":9,"metadata":{"a":1}},
                         {"id":"f-3","role":"tool","type":"tool_call","status":"error","content":"third","parent_id":"f-1"}]}
            """
        )
        for patch in [#"{"pinned":true}"#, #"{"archived":true,"archive_reason":"done"}"#] {
            try #require(try await chat.send(.patch, "/v1/conversations/full", patch).status == 200)
        }
        try await chat.create(#"{"id":"empty"}"#)
        try await chat.create(#"{"id":"trashed","slug":"s","messages":[{"role":"user","content":"old"}]}"#)
        try #require(try await chat.send(.delete, "/v1/conversations/trashed").status == 204)
        try await chat.create(#"{"id":"long","messages":[{"role":"user","content":"title of it"}]}"#)
        for batch in 0..<3 {
            let items = (0..<100).map { #"{"role":"user","content":"\#(batch) \#($0)"}"# }.joined(separator: ",")
            try await chat.append(#"{"messages":[\#(items)]}"#, to: "long")
        }
        // As a deletion leaves it: the number stays.
        let tombstone = Statement(
            "test.tombstone",
            .writes,
            ["at": .instant],
            """
            UPDATE messages SET deleted_at = :at, parts = '[]', content_text = NULL, version = version + 1
            WHERE conversation_id = 'long' AND seq = 7
            """
        )
        let count = Statement(
            "test.count",
            .writes,
            "UPDATE conversations SET message_count = message_count - 1 WHERE id = 'long'"
        )
        _ = try await chat.database.run(
            Transaction([tombstone.bind(["at": Instant(seconds: 1_800_000_000)]), count.bind()])
        )
    }

    @Test("what is imported exports the same, on the other engine too", arguments: TestEngine.allCases)
    func lossless(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await fill(chat)
            let answer = try await chat.send(.get, "/v1/chat/export")
            #expect(answer.status == 200)
            #expect(answer.headers[.contentType] == "application/x-ndjson")
            #expect(answer.headers[.cacheControl] == "no-store")
            let lines = Lines(answer.text)
            #expect(lines.count("conversation") == 4 && lines.count("message") == 3 + 1 + 301)
            #expect(answer.text.utf8.contains(0x0D) == false)
            for target in TestEngine.allCases {
                try await withChat(target) { other async throws in
                    let report = try await other.take(lines, for: "owner")
                    #expect(report.conversations == 4 && report.messages == 305 && report.refused.isEmpty)
                    let back = Lines(try await other.send(.get, "/v1/chat/export").text)
                    // All but the times of the export and of the last visit.
                    #expect(back.comparable == lines.comparable)
                    for path in ["/v1/conversations/full?include=messages", "/v1/conversations/long?include=messages"] {
                        let (before, after) = (try await chat.send(.get, path), try await other.send(.get, path))
                        #expect(before.text == after.text && before.status == 200)
                        #expect(before.headers[.eTag] == after.headers[.eTag])
                    }
                    let next = try await other.append(#"{"role":"user","content":"x"}"#, to: "long")
                    #expect(next["seq"]?.integer == 302)
                }
            }
        }
    }

    @Test("importing twice changes nothing, also what has changed since", arguments: TestEngine.allCases)
    func twice(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await fill(chat)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try await chat.append(#"{"role":"user","content":"newer"}"#, to: "empty")
            let before = Lines(try await chat.send(.get, "/v1/chat/export").text)
            let report = try await chat.take(lines, for: "owner")
            #expect(report.conversations == 0 && report.present == 4 && report.refused.isEmpty)
            let after = Lines(try await chat.send(.get, "/v1/chat/export").text)
            #expect(after.comparable == before.comparable)
        }
    }

    @Test("another person on another instance becomes the owner", arguments: TestEngine.allCases)
    func newOwner(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await fill(chat)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try await withChat(engine) { other async throws in
                #expect(try await other.take(lines, for: "newcomer").conversations == 4)
                let full = try await other.send(.get, "/v1/conversations/full?include=messages", as: "newcomer").json
                #expect(full["owner_id"]?.string == "newcomer")
                #expect(full["messages"]?.array?.first?["author_id"]?.string == "newcomer")
                #expect(try await other.send(.get, "/v1/conversations/full").status == 404)
                #expect(!(try await other.send(.get, "/v1/chat/export", as: "newcomer").text.contains(#""owner""#)))
            }
        }
    }

    @Test(
        "S1: ids of somebody else are refused and never adopted, and nothing of that conversation stays",
        arguments: TestEngine.allCases
    )
    func takenIDs(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await fill(chat)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            let before = try await chat.send(.get, "/v1/chat/export").text
            // Another person of the same instance.
            let report = try await chat.take(lines, for: "thief")
            #expect(report.conversations == 0 && report.refused.count == 4)
            #expect(try await chat.rows(of: "thief") == [0, 0])
            let after = try await chat.send(.get, "/v1/chat/export").text
            #expect(Lines(after).comparable == Lines(before).comparable)
            // One taken message id refuses its conversation; the others are imported.
            try await withChat(engine) { other async throws in
                try await other.create(
                    #"{"id":"mine","messages":[{"id":"f-2","role":"user","content":"x"}]}"#,
                    as: "other"
                )
                let report = try await other.take(lines, for: "owner")
                #expect(report.conversations == 3)
                #expect(report.refused.count == 1 && report.refused.first?.contains("full") == true)
                #expect(try await other.rows(of: "owner") == [3, 302])
                #expect(try await other.rows(of: "other") == [1, 1])
                try await other.expectSound("mine", count: 1, as: "other")
            }
        }
    }

    @Test(
        "an import that dies in the middle shows nothing half, and completes when run again",
        arguments: TestEngine.allCases
    )
    func interrupted(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let id = try await chat.conversation(#"{"title":"long"}"#)
            try await chat.fill(id, count: 900)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try await withChat(engine) { other async throws in
                // Some transactions are committed, and then the process is gone.
                var importer = Importer(for: "owner", database: other.database)
                for line in lines.all.prefix(700) { try await importer.take(Array(line.utf8)) }
                let rows = try await other.rows(of: "owner")
                #expect(rows[0] == 1 && (1...700).contains(rows[1]))
                #expect(try await other.send(.get, "/v1/conversations/\(id)").status == 404)
                #expect(try await other.send(.get, "/v1/conversations").json["data"]?.array?.isEmpty == true)
                #expect(Lines(try await other.send(.get, "/v1/chat/export").text).count("conversation") == 0)
                #expect(try await other.take(lines, for: "owner").conversations == 1)
                let messages = try await other.messages(id)
                #expect(messages.compactMap { $0["seq"]?.integer } == (1...900).map { Int64($0) })
                let back = Lines(try await other.send(.get, "/v1/chat/export").text)
                #expect(back.comparable == lines.comparable)
            }
        }
    }

    @Test("a file that is not all of an export is refused before anything is written")
    func damaged() throws {
        let header = #"{"entity":"header","format":"tessera.chat.export","version":1,"user_id":"owner"}"#
        let row =
            #"{"entity":"conversation","id":"c","owner_id":"owner","title":null,"visibility":"private","last_seq":0,"#
            + #""message_count":0,"tokens_in":0,"tokens_out":0,"created_at":"2026-01-01T00:00:00Z","#
            + #""updated_at":"2026-01-01T00:00:00Z","version":1,"has_tags":false,"settings":{},"metadata":{}}"#
        let trailer = #"{"entity":"trailer","counts":{"principal":0,"conversation":1,"message":0}}"#
        func check(_ lines: [String]) throws {
            var check = ChatService.importCheck()
            for line in lines { try check.take(Array(line.utf8)) }
            try check.finish()
        }
        try check([header, row, trailer])
        for bad in [
            [], [header], [header, row], [row, trailer], [header, trailer], [header, row, row, trailer],
            [header, row, trailer, row], [header, row, trailer, trailer], ["x"],
            [header.replacing("tessera", with: "other"), row, trailer],
            [header.replacing(#""version":1"#, with: #""version":2"#), row, trailer],
            [header, #"{"entity":"passwords"}"#, trailer], [header, #"{"id":"c"}"#, trailer],
        ] {
            #expect(throws: ImportRefusal.self, "\(bad)") { try check(bad) }
        }
    }

    @Test(
        "rows that no export has are refused: foreign owners, holes, parents elsewhere",
        arguments: TestEngine.allCases
    )
    func forged(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create(
                #"{"id":"c","messages":[{"id":"m-1","role":"user","content":"a"},{"id":"m-2","role":"user","content":"b"}]}"#
            )
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            let forgeries: [(String, String)] = [
                (#""owner_id":"owner""#, #""owner_id":"victim""#), (#""seq":2"#, #""seq":3"#),
                (#""last_seq":2"#, #""last_seq":5"#), (#""parent_id":"m-1""#, #""parent_id":"elsewhere""#),
                (#""head_message_id":"m-2""#, #""head_message_id":"elsewhere""#),
                (#""role":"user""#, #""role":"root""#),
                (#""conversation_id":"c""#, #""conversation_id":"d""#), (#""id":"m-2""#, #""id":"../m""#),
                (#""version":1"#, #""version":0"#), (#""created_at":""#, #""created_at":"x"#),
            ]
            for (before, after) in forgeries {
                try await withChat(engine) { other async throws in
                    let forged = Lines(lines.all.map { $0.replacing(before, with: after) })
                    #expect(forged.all != lines.all, "\(before)")
                    do {
                        let report = try await other.take(forged, for: "owner")
                        #expect(report.conversations == 0 && report.refused.count == 1, "\(after)")
                    } catch is ImportRefusal {}
                    #expect(try await other.rows(of: "owner") == [0, 0], "\(after)")
                    #expect(try await other.rows(of: "victim") == [0, 0], "\(after)")
                }
            }
        }
    }

    @Test("nothing is imported for somebody who was erased", arguments: TestEngine.allCases)
    func erased(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create(#"{"id":"c","messages":[{"role":"user","content":"a"}]}"#)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            #expect(try await chat.send(.delete, "/v1/chat/data").status == 200)
            await #expect(throws: APIError.self) { try await chat.take(lines, for: "owner") }
            #expect(try await chat.rows(of: "owner") == [0, 0])
        }
    }

    @Test("each conversation of an export is whole while others write", arguments: TestEngine.allCases)
    func concurrent(engine: TestEngine) async throws {
        try await withNodes(engine) { chat async throws in
            let ids = try await inParallel(6) { _ in try await chat.conversation() }
            async let writing: [Int] = inParallel(60) { index in
                let body = #"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#
                return try await chat.send(.post, "/v1/conversations/\(ids[index % 6])/messages", body, node: index)
                    .status
            }
            for _ in 0..<5 {
                let lines = Lines(try await chat.send(.get, "/v1/chat/export", node: 1).text)
                #expect(lines.all.last?.hasPrefix(#"{"entity":"trailer""#) == true)
                try await withChat(.sqlite) { other async throws in
                    let report = try await other.take(lines, for: "owner")
                    #expect(report.conversations == 6 && report.refused.isEmpty)
                }
            }
            #expect(try await writing.allSatisfy { $0 == 201 })
        }
    }

    @Test("messages of a megabyte go by themselves, and short ones together", arguments: TestEngine.allCases)
    func large(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat async throws in
            let counting = try #require(chat.database as? CountingDatabase)
            let id = try await chat.conversation()
            try await chat.fill(id, count: 4, content: String(repeating: "x", count: 1 << 20))
            for _ in 0..<30 { try await chat.create(#"{"messages":[{"role":"user","content":"short"}]}"#) }
            counting.forget()
            let answer = try await chat.send(.get, "/v1/chat/export")
            #expect(Lines(answer.text).count("message") == 34)
            // Principal, two groups of conversations and their end, their first messages, and the large ones.
            let asked = counting.transactions.map { $0.first ?? "" }
            #expect(asked.count { $0 == "export.conversations" } == 3)
            #expect(counting.transactions.filter { $0.first == "export.messages" && $0.count > 1 }.count == 2)
            #expect(counting.transactions.filter { $0 == ["export.messages"] }.count <= 8)
        }
    }

    @Test(
        "somebody who was never here has an export of nothing, and cannot see another's",
        arguments: TestEngine.allCases
    )
    func nobody(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create(#"{"messages":[{"role":"user","content":"secret"}]}"#)
            let answer = try await chat.send(.get, "/v1/chat/export", as: "stranger")
            #expect(answer.status == 200 && !answer.text.contains("secret"))
            #expect(Lines(answer.text).all.count == 2)
            #expect(try await chat.send(.get, "/v1/chat/export", as: nil).status == 401)
        }
    }
}

struct Lines: Sendable {
    let all: [String]

    init(_ text: String) {
        all = text.split(separator: "\n").map(String.init)
    }

    init(_ lines: [String]) { all = lines }

    func count(_ entity: String) -> Int { all.count { $0.hasPrefix(#"{"entity":"\#(entity)""#) } }

    /// Without the times of the export and the instance.
    var comparable: [String] {
        all.filter { !$0.hasPrefix(#"{"entity":"header""#) && !$0.hasPrefix(#"{"entity":"principal""#) }
    }
}

extension Chat {
    /// As the command does: checks the whole file first, then imports rows.
    func take(_ lines: Lines, for owner: String) async throws -> ImportReport {
        var check = ChatService.importCheck()
        for line in lines.all { try check.take(Array(line.utf8)) }
        try check.finish()
        var importer = Importer(for: owner, heads: check.heads, database: database)
        for line in lines.all { try await importer.take(Array(line.utf8)) }
        return try await importer.finish()
    }
}
