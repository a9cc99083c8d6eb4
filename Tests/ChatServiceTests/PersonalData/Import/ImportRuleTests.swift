// A file is held to the rules of the API before anything of it is written, and a file that is refused changes nothing.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Rules of imports")
struct ImportRuleTests {
    /// A conversation of three messages in a chain, the second deleted with its child given to the first; a tag, a
    /// vote.
    private func export(_ chat: Chat) async throws -> Lines {
        try await chat.create(
            """
            {"id":"a","title":"Title","model":"m","slug":"s","messages":[
             {"id":"a-1","role":"user","content":"one","tokens_in":3},
             {"id":"a-2","role":"assistant","content":"two","tokens_out":4},
             {"id":"a-3","role":"user","content":"three","tokens_in":5}]}
            """
        )
        for (method, path, body) in [
            (HTTPRequest.Method.delete, "/v1/conversations/a/messages/a-2", nil),
            (.put, "/v1/conversations/a/tags", #"{"tags":["Work"]}"#),
            (.put, "/v1/conversations/a/messages/a-1/vote", #"{"value":"up"}"#),
        ] as [(HTTPRequest.Method, String, String?)] {
            let answer = try await chat.send(method, path, body)
            try #require((200..<300).contains(answer.status), "\(answer.text)")
        }
        return Lines(try await chat.send(.get, "/v1/chat/export").text)
    }

    /// What is wrong with each: the line's beginning, what stands in it, and what is put there.
    private static let forgeries: [(line: String, old: String, new: String)] = [
        // A cycle, a parent that comes later, itself, none; a number twice; an id twice.
        ("a-1", #""parent_id":null"#, #""parent_id":"a-3""#), ("a-3", #""parent_id":"a-1""#, #""parent_id":"a-3""#),
        ("a-3", #""parent_id":"a-1""#, #""parent_id":"elsewhere""#), ("a-3", #""seq":3"#, #""seq":2"#),
        ("a-3", #""id":"a-3""#, #""id":"a-1""#), ("a-3", #""seq":3"#, #""seq":4"#),
        // A head that is deleted, another's, or missing.
        ("a", #""head_message_id":"a-3""#, #""head_message_id":"a-2""#),
        ("a", #""head_message_id":"a-3""#, #""head_message_id":"b-1""#),
        ("a", #""head_message_id":"a-3""#, #""head_message_id":null"#),
        ("a", #""last_seq":3"#, #""last_seq":2"#), ("a", #""last_seq":3"#, #""last_seq":4"#),
        // Texts, words and sizes.
        ("a", #""title":"Title""#, #""title":"\#(String(repeating: "é", count: 1025))""#),
        ("a", #""title":"Title""#, #""title":" ""#), ("a", #""slug":"s""#, #""slug":"a b""#),
        ("a", #""model":"m""#, #""model":"\#(String(repeating: "m", count: 257))""#),
        ("a", #""visibility":"private""#, #""visibility":"everybody""#),
        ("a", #""title_source":"user""#, #""title_source":"x""#),
        ("a", #""settings":{}"#, #""settings":{"s":"\#(String(repeating: "x", count: 16 * 1024))"}"#),
        ("a", #""updated_at":"2"#, #""updated_at":"9999-12-31T23:59:59.999999Z","x":"2"#),
        ("a-1", #""role":"user""#, #""role":"root""#), ("a-1", #""status":"completed""#, #""status":"done""#),
        ("a-1", #""type":"normal""#, #""type":"x""#), ("a-1", #""author_id":"owner""#, #""author_id":"victim""#),
        ("a-1", #""tokens_in":3"#, #""tokens_in":1000000001"#), ("a-1", #""parts":[{"#, #""parts":[1,{"#),
        ("a-2", #""parts":[]"#, #""parts":[{"type":"text","text":"hidden"}]"#),
        ("a-2", #""content_text":null"#, #""content_text":"hidden""#),
        // What is flat.
        ("tag", #""name_key":"work""#, #""name_key":"home""#), ("tag", #""name":"Work""#, #""name":"""#),
        ("tag", #""owner_id":"owner""#, #""owner_id":"victim""#), ("vote", #""value":1"#, #""value":0"#),
        ("vote", #""user_id":"owner""#, #""user_id":"victim""#),
        ("usage_total", #""user_id":"owner""#, #""user_id":"victim""#),
    ]

    @Test("what the API would not take is refused, and nothing of the file is written", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            try await withChat(engine) { other async throws in
                // A user with usage.
                try await other.create(#"{"id":"own","messages":[{"role":"assistant","content":"x","tokens_out":1}]}"#)
                func state() async throws -> [String] {
                    try await ["/v1/chat/export", "/v1/usage", "/v1/tags"].asyncMap { path in
                        let text = try await other.send(.get, path).text
                        return path.hasSuffix("export") ? Lines(text).comparable.joined(separator: "\n") : text
                    }
                }
                let before = try await state()
                for forgery in Self.forgeries {
                    let beginnings = [
                        #"{"entity":"message","id":"\#(forgery.line)","#,
                        #"{"entity":"conversation","id":"\#(forgery.line)","#,
                        #"{"entity":"\#(forgery.line)","#,
                    ]
                    let forged = Lines(
                        lines.all.map { line in
                            beginnings.contains { line.hasPrefix($0) }
                                ? line.replacing(forgery.old, with: forgery.new, maxReplacements: 1) : line
                        }
                    )
                    try #require(forged.all != lines.all, "\(forgery.line) \(forgery.old)")
                    await #expect(throws: ImportRefusal.self, "\(forgery.line) \(forgery.new.prefix(80))") {
                        try await other.take(forged, for: "owner")
                    }
                }
                #expect(try await state() == before)
                // And the file itself is taken.
                #expect(try await other.take(lines, for: "owner").conversations == 1)
                try await chat.expectSame(as: other, "/v1/conversations/a?include=messages,votes")
            }
        }
    }

    @Test("a message larger than a request is brought in, up to the size that ever was", arguments: TestEngine.allCases)
    func large(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create(#"{"id":"c","messages":[{"id":"c-1","role":"user","content":"x"}]}"#)
            try await chat.enlarge("c", 1...1, to: ConversationLimits.parts)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try await chat.enlarge("c", 1...1, to: ConversationLimits.parts + 1)
            let larger = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try await withChat(engine) { other async throws in
                let text = String(repeating: "x", count: BodyLimits.messages)
                let body = #"{"id":"d","messages":[{"role":"user","content":"\#(text)"}]}"#
                #expect(try await other.send(.post, "/v1/conversations", body).status == 413)
                await #expect(throws: ImportRefusal.self) { try await other.take(larger, for: "owner") }
                #expect(try await other.take(lines, for: "owner").messages == 1)
                let message = try await other.send(.get, "/v1/conversations/c/messages/c-1")
                #expect(message.text.utf8.count > ConversationLimits.parts)
            }
        }
    }

    @Test("lines come in the order of an export, and the person once", arguments: [TestEngine.sqlite])
    func order(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat).all
            let principal = try #require(lines.firstIndex { $0.hasPrefix(#"{"entity":"principal""#) })
            let usage = try #require(lines.firstIndex { $0.hasPrefix(#"{"entity":"usage_total""#) })
            func check(_ lines: [String]) throws {
                var check = ChatService.importCheck()
                for line in lines { try check.take(Array(line.utf8)) }
                try check.finish()
            }
            try check(lines)
            var moved = lines
            moved.insert(moved.remove(at: usage), at: principal)
            #expect(throws: ImportRefusal.self) { try check(moved) }
            var twice = lines
            twice.insert(twice[principal], at: principal)
            #expect(throws: ImportRefusal.self) { try check(twice) }
        }
    }

    @Test("counts are those of the messages, whatever the file says", arguments: TestEngine.allCases)
    func counts(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            let forged = Lines(
                lines.all.map { line in
                    guard line.hasPrefix(#"{"entity":"conversation""#) else { return line }
                    return line.replacing(#""message_count":2"#, with: #""message_count":77"#)
                        .replacing(#""tokens_in":8"#, with: #""tokens_in":123456"#)
                        .replacing(#""tokens_out":0"#, with: #""tokens_out":9"#)
                }
            )
            try #require(forged.all != lines.all)
            try await withChat(engine) { other async throws in
                #expect(try await other.take(forged, for: "owner").conversations == 1)
                try await chat.expectSame(as: other, "/v1/conversations/a")
            }
        }
    }

    @Test(
        "of a file whose conversations are all refused nothing is taken, usage and tags included",
        arguments: TestEngine.allCases
    )
    func allTaken(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let lines = try await export(chat)
            let report = try await chat.take(lines, for: "thief")
            #expect(report.refused.count == 1 && report.others == 0 && report.skipped == [:])
            let usage = try await chat.send(.get, "/v1/usage", as: "thief").json
            #expect(usage["total"]?["tokens_total"]?.integer == 0 && usage["tokens_lifetime"]?.integer == 0)
            #expect(try await chat.send(.get, "/v1/tags", as: "thief").json["data"]?.array?.isEmpty == true)
            #expect(try await chat.rows(of: "thief") == [0, 0])
        }
    }

    @Test(
        "a head that was deleted while the export was read passes on as a deletion does it",
        arguments: TestEngine.allCases
    )
    func deletedMeanwhile(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let before = try await export(chat)
            try #require(try await chat.send(.delete, "/v1/conversations/a/messages/a-3").status == 204)
            let after = Lines(try await chat.send(.get, "/v1/chat/export").text)
            // The header and the conversation as they were, the message as it was read later.
            let mixed = Lines(
                before.all.map { line in
                    guard line.hasPrefix(#"{"entity":"message","id":"a-3""#) else { return line }
                    return after.all.first { $0.hasPrefix(#"{"entity":"message","id":"a-3""#) } ?? line
                }
            )
            try #require(mixed.all != before.all)
            try await withChat(engine) { other async throws in
                #expect(try await other.take(mixed, for: "owner").conversations == 1)
                let row = try await other.send(.get, "/v1/conversations/a").json
                #expect(row["head_message_id"]?.string == "a-1" && row["message_count"]?.integer == 1)
            }
        }
    }
}

extension Chat {
    fileprivate func expectSame(as other: Chat, _ path: String) async throws {
        let (own, theirs) = (try await send(.get, path), try await other.send(.get, path))
        #expect(own.status == 200 && own.text == theirs.text, "\(theirs.text)")
    }
}

extension Sequence where Self: Sendable {
    fileprivate func asyncMap<T>(_ body: (Element) async throws -> T) async rethrows -> [T] {
        var mapped: [T] = []
        for element in self { mapped.append(try await body(element)) }
        return mapped
    }
}
