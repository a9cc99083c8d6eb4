// Vulnerability classes of other chat systems, on the routes of messages; see docs/security-classes.md, "Chat data".
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Vulnerability classes: messages")
struct MessageSecurityTests {
    private static func routes(_ conversation: String, _ message: String) -> [(HTTPRequest.Method, String, String?)] {
        let path = "/v1/conversations/\(conversation)/messages"
        return [
            (.get, path, nil), (.get, "\(path)?last=5", nil), (.get, "\(path)?leaf=head", nil),
            (.get, "\(path)?leaf=\(message)", nil), (.get, "\(path)?include=siblings", nil),
            (.post, path, #"{"role":"user","content":"x"}"#),
            (.post, path, #"{"messages":[{"role":"user","content":"x"}]}"#),
            (.delete, "\(path)?after_seq=0", nil),
            (.get, "\(path)/\(message)", nil), (.get, "\(path)/\(message)?include=siblings", nil),
            (.patch, "\(path)/\(message)", #"{"content":"x"}"#), (.patch, "\(path)/\(message)", "{}"),
            (.delete, "\(path)/\(message)", nil),
        ]
    }

    /// Those that name a message, in the path or a body.
    private static func ofMessage(_ conversation: String, _ message: String) -> [(HTTPRequest.Method, String, String?)]
    {
        let path = "/v1/conversations/\(conversation)/messages"
        return routes(conversation, message).filter { $0.1.contains(message) } + [
            (.post, path, #"{"role":"user","content":"x","parent_id":"\#(message)"}"#),
            (
                .post, path,
                #"{"messages":[{"role":"user","content":"x"},{"role":"user","content":"y","parent_id":"\#(message)"}]}"#
            ),
            (.post, path, #"{"role":"user","content":"x","id":"\#(message)"}"#),
            (
                .post, path,
                #"{"messages":[{"role":"user","content":"x"},{"role":"user","content":"y","id":"\#(message)"}]}"#
            ),
            (.patch, "/v1/conversations/\(conversation)", #"{"head_message_id":"\#(message)"}"#),
        ]
    }

    @Test("S1: whoever knows a conversation's id can do nothing with it", arguments: TestEngine.allCases)
    func s1(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"secret","id":"m-1"}]}"#)
            let before = try await chat.send(.get, "/v1/conversations/\(id)?include=messages").text
            for (method, path, body) in Self.routes(id, "m-1") {
                let other = try await chat.send(method, path, as: "stranger", body)
                #expect(other.status == 404, "\(method) \(path)")
                #expect(!other.text.contains("secret"))
                #expect(try await chat.send(method, path, as: nil, body).status == 401, "\(method) \(path)")
            }
            // An existing id gives no access either.
            let taken = try await chat.send(.post, "/v1/conversations", as: "stranger", #"{"id":"\#(id)"}"#)
            #expect(taken.code == "id_taken")
            #expect(try await chat.send(.get, "/v1/conversations/\(id)?include=messages").text == before)
        }
    }

    @Test(
        "S3: a message of another conversation is none of this one's, alone and in a batch",
        arguments: TestEngine.allCases
    )
    func s3(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            // Another conversation of the same owner, and one of another user.
            let here = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"here"}]}"#)
            let there = try await chat.conversation(#"{"messages":[{"role":"user","content":"secret","id":"there"}]}"#)
            let theirs = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"secret","id":"theirs"}]}"#,
                as: "stranger"
            )
            let before = try await [
                chat.send(.get, "/v1/conversations/\(here)?include=messages").text,
                chat.send(.get, "/v1/conversations/\(there)?include=messages").text,
                chat.send(.get, "/v1/conversations/\(theirs)?include=messages", as: "stranger").text,
            ]
            for message in ["there", "theirs"] {
                for (method, path, body) in Self.ofMessage(here, message) {
                    let answer = try await chat.send(method, path, body)
                    #expect([400, 404, 409].contains(answer.status), "\(method) \(path) \(body ?? ""): \(answer.text)")
                    #expect(!answer.text.contains("secret"))
                }
            }
            let after = try await [
                chat.send(.get, "/v1/conversations/\(here)?include=messages").text,
                chat.send(.get, "/v1/conversations/\(there)?include=messages").text,
                chat.send(.get, "/v1/conversations/\(theirs)?include=messages", as: "stranger").text,
            ]
            #expect(after == before)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("S12: odd, deep and huge bodies are refused, and the service goes on", arguments: TestEngine.allCases)
    func s12(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"m"}]}"#)
            let path = "/v1/conversations/\(id)/messages"
            let deep = String(repeating: "[", count: 100_000)
            let nested = String(repeating: #"{"a":"#, count: 70) + "1" + String(repeating: "}", count: 70)
            let odd: [(String?, Set<Int>)] = [
                (nil, [400]), ("", [400]), ("null", [400]), ("[]", [400]), ("\"x\"", [400]), ("{", [400]),
                ("{}}", [400]),
                (deep, [400]), (#"{"role":"user","parts":\#(deep)}"#, [400]),
                (#"{"role":"user","parts":[{"type":"x","v":\#(nested)}]}"#, [400]),
                (#"{"role":"user","content":"\ud800"}"#, [400]), (#"{"role":"user","content":"\u0000"}"#, [400]),
                (#"{"role":"user","content":"a","content":"b"}"#, [400]),
                (#"{"role":"user","content":"\#(String(repeating: "x", count: 1_048_576))"}"#, [413]),
            ]
            for (body, statuses) in odd {
                for (method, target) in [(HTTPRequest.Method.post, path), (.patch, "\(path)/m")] {
                    let answer = try await chat.send(method, target, body)
                    let what = "\(method) \((body ?? "nothing").prefix(60)): \(answer.text.prefix(200))"
                    #expect(statuses.contains(answer.status), "\(what)")
                }
            }
            // A body on a deletion is ignored.
            #expect(try await chat.send(.delete, "\(path)?after_seq=9", "{").status == 200)
            let part = #"{"type":"x"}"#
            let many = "[" + Array(repeating: part, count: 80_000).joined(separator: ",") + "]"
            let kept = try await chat.send(.patch, "\(path)/m", #"{"parts":\#(many)}"#)
            #expect(kept.status == 200)
            #expect(try await chat.send(.get, "\(path)/m").json["parts"]?.raw == many)
            #expect(try await chat.ids(path) == ["m"])
        }
    }

    @Test("S15: an id is no right: neighbours of one's own ids open nothing", arguments: TestEngine.allCases)
    func s15(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let mine = try await chat.conversation(as: "stranger")
            // Made in the same millisecond: only the random end cannot be guessed.
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"secret"}]}"#)
            let message = try #require(try await chat.messages(id).first?["id"]?.string)
            for (method, path, body) in Self.routes(id, message)
                + Self.routes(mine, message).filter({ $0.1.contains(message) })
            {
                let answer = try await chat.send(method, path, as: "stranger", body)
                #expect(answer.status == 404, "\(method) \(path)")
            }
            // Other spellings of an id are other ids.
            for odd in [message.uppercased(), message + " ", "%2e%2e%2f" + message, message + "%00"] {
                let escaped = odd.replacing(" ", with: "%20")
                let answer = try await chat.send(.get, "/v1/conversations/\(id)/messages/\(escaped)")
                // An escape of a dot segment or of NUL is refused before anything is looked up.
                #expect(answer.status == (odd.contains("%") ? 400 : 404), "\(odd): \(answer.status)")
            }
        }
    }

    @Test("S17: two tabs that write one conversation lose nothing of each other's", arguments: TestEngine.allCases)
    func s17(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"m"}]}"#)
            let path = "/v1/conversations/\(id)"
            let statuses = try await inParallel(24) { index in
                switch index % 4 {
                case 0:
                    try await chat.send(
                        .post,
                        "\(path)/messages",
                        #"{"role":"user","content":"\#(index)"}"#,
                        node: index
                    ).status
                case 1: try await chat.send(.patch, path, #"{"title":"t\#(index)"}"#, node: index).status
                case 2:
                    try await chat.send(.patch, "\(path)/messages/m", #"{"metadata":{"k\#(index)":1}}"#, node: index)
                        .status
                default: try await chat.send(.patch, path, #"{"metadata":{"k\#(index)":1}}"#, node: index).status
                }
            }
            #expect(statuses.allSatisfy { $0 == 200 || $0 == 201 })
            let row = try await chat.send(.get, "\(path)?include=messages").json
            #expect(row["messages"]?.array?.count == 7)
            #expect(row["metadata"]?.object?.count == 6)
            #expect(row["messages"]?.array?.first?["metadata"]?.object?.count == 6)
            #expect(row["title"]?.string?.hasPrefix("t") == true)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test(
        "S18: what never was, what is another's and what was deleted are told in the same words",
        arguments: TestEngine.allCases
    )
    func s18(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let items = #"[{"role":"user","content":"x","id":"live"},{"role":"user","content":"x","id":"gone"}]"#
            let id = try await chat.conversation(#"{"messages":\#(items)}"#)
            #expect(try await chat.send(.delete, "/v1/conversations/\(id)/messages/gone").status == 204)
            let trashed = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"old"}]}"#)
            #expect(try await chat.send(.delete, "/v1/conversations/\(trashed)").status == 204)
            let theirs = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"x","id":"theirs"}]}"#,
                as: "stranger"
            )
            let nowhere = Self.routes("nowhere", "nothing")
            for (conversation, message) in [(theirs, "theirs"), (trashed, "old"), ("nowhere", "live")] {
                for ((method, path, body), (_, unknown, _)) in zip(Self.routes(conversation, message), nowhere) {
                    let answer = try await chat.send(method, path, body)
                    let reference = try await chat.send(method, unknown, body)
                    #expect(answer.status == 404, "\(method) \(path)")
                    #expect(try Self.words(answer) == Self.words(reference), "\(method) \(path)")
                }
            }
            let unknown = Self.routes(id, "nothing").filter { $0.1.contains("nothing") }
            for message in ["gone", "old", "theirs"] {
                for ((method, path, body), (_, other, _)) in zip(
                    Self.routes(id, message).filter { $0.1.contains(message) },
                    unknown
                ) {
                    let answer = try await chat.send(method, path, body)
                    #expect(answer.status == 404, "\(method) \(path)")
                    #expect(try Self.words(answer) == Self.words(await chat.send(method, other, body)))
                }
            }
        }
    }

    /// A problem without the request's own members.
    private static func words(_ answer: Answer) throws -> [String: String] {
        var words: [String: String] = [:]
        for member in try answer.json.object ?? [] where member.name != "request_id" {
            words[member.name.verbatim] = member.value.raw
        }
        return words
    }
}
