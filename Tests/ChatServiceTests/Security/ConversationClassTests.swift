// Vulnerability classes of other chat systems (S1…S18), on the routes of conversations, tags, votes, trash and forks.
// S3 for votes and forks, and S17, have their own suites.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Vulnerability classes: conversations, tags, votes")
struct ConversationClassTests {
    typealias Attempt = (method: HTTPRequest.Method, path: String, body: String?)

    static func attempts(_ id: String, _ message: String, tag: String) -> [Attempt] {
        let path = "/v1/conversations/\(id)"
        return [
            (.get, path, nil), (.get, path + "?include=messages,votes", nil), (.patch, path, #"{"title":"x"}"#),
            (.patch, path, #"{"visibility":"public"}"#), (.delete, path, nil),
            (.delete, path + "?permanent=true", nil), (.post, path + "/restore", nil), (.post, path + "/fork", nil),
            (.post, path + "/fork", #"{"message_id":"\#(message)"}"#), (.get, path + "/messages", nil),
            (.post, path + "/messages", #"{"role":"user","content":"x"}"#),
            (.get, path + "/messages/\(message)", nil),
            (.put, path + "/messages/\(message)/vote", #"{"value":"up"}"#),
            (.delete, path + "/messages/\(message)/vote", nil), (.get, path + "/votes", nil),
            (.get, path + "/tags", nil), (.put, path + "/tags", #"{"tags":["x"]}"#), (.put, path + "/tags/x", nil),
            (.delete, path + "/tags/secret", nil), (.patch, "/v1/tags/\(tag)", #"{"name":"x"}"#),
            (.delete, "/v1/tags/\(tag)", nil),
        ]
    }

    /// A conversation with a message, a tag and a vote; returns the tag's id.
    private static func furnish(_ chat: Chat) async throws -> String {
        try await chat.create(
            #"{"id":"c","title":"secret","visibility":"public","messages":[{"role":"user","content":"secret","id":"m"}]}"#
        )
        _ = try await chat.send(.put, "/v1/conversations/c/tags/secret")
        _ = try await chat.send(.put, "/v1/conversations/c/messages/m/vote", #"{"value":"up"}"#)
        let tags = try await chat.send(.get, "/v1/tags").json["data"]?.array
        return try #require(tags?.first?["id"]?.string)
    }

    @Test(
        "S1, S18: to another user and to a guest nothing is there, kept or in the trash, and nothing changes",
        arguments: TestEngine.allCases
    )
    func s1Strangers(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let tag = try await Self.furnish(chat)
            let guest = "Bearer \(try chat.tokens.token(for: "guest", ["kind": #""guest""#]))"
            for isTrashed in [false, true] {
                let before = try await chat.send(.get, "/v1/conversations/c?include=messages,votes").text
                for (method, path, body) in Self.attempts("c", "m", tag: tag) {
                    let nowhere = path.replacing("/conversations/c", with: "/conversations/nowhere").replacing(
                        tag,
                        with: "t-nowhere"
                    )
                    for header in [nil, guest] {
                        let headers: HTTPFields = header.map { [.authorization: $0] } ?? [:]
                        let answer = try await chat.send(method, path, as: "stranger", body, headers: headers)
                        #expect(answer.status == 404, "\(method) \(path)")
                        #expect(!answer.text.contains("secret"))
                        // The same 404 as for what never existed.
                        let other = try await chat.send(method, nowhere, as: "stranger", body, headers: headers)
                        #expect(other.code == answer.code, "\(method) \(path)")
                    }
                }
                for path in [
                    "/v1/conversations", "/v1/conversations?trash=true", "/v1/tags", "/v1/conversations?tag=secret",
                ] {
                    #expect(try await chat.send(.get, path, as: "stranger").json["data"]?.array?.isEmpty == true)
                }
                let cleared = try await chat.send(.delete, "/v1/conversations?all=true&permanent=true", as: "stranger")
                    .json
                #expect(cleared["conversations"]?.integer == 0)
                if isTrashed { _ = try await chat.send(.post, "/v1/conversations/c/restore") }
                let after = try await chat.send(.get, "/v1/conversations/c?include=messages,votes").text
                if isTrashed { #expect(after.contains("secret")) } else { #expect(after == before) }
                #expect(try await chat.rows("conversations") == 1)
                #expect(try await chat.rows("votes") == 1)
                if !isTrashed { _ = try await chat.send(.delete, "/v1/conversations/c") }
            }
        }
    }

    @Test("S1: an id that exists is adopted by no creation, with a key or without", arguments: TestEngine.allCases)
    func s1Adoption(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            _ = try await Self.furnish(chat)
            let body = #"{"id":"c","messages":[{"role":"user","content":"x"}]}"#
            for headers in [[:], [.idempotencyKey: "k"]] as [HTTPFields] {
                let answer = try await chat.send(.post, "/v1/conversations", as: "stranger", body, headers: headers)
                #expect(answer.code == "id_taken")
            }
            try await chat.expectSound("c", count: 1)
            #expect(try await chat.rows("idempotency_keys") == 0)
        }
    }

    @Test(
        "S3: another user's tag is not renamed, deleted, or counted through one's own",
        arguments: TestEngine.allCases
    )
    func s3Tags(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let tag = try await Self.furnish(chat)
            try await chat.create(#"{"id":"d"}"#, as: "stranger")
            _ = try await chat.send(.put, "/v1/conversations/d/tags/secret", as: "stranger")
            let own = try await chat.send(.get, "/v1/tags", as: "stranger").json["data"]?.array
            #expect(own?.map { $0["conversation_count"]?.integer } == [1])
            #expect(own?.first?["id"]?.string != tag)
            let listed = try await chat.send(.get, "/v1/conversations?tag=secret&count=true", as: "stranger").json
            #expect(listed["total"]?.integer == 1)
        }
    }

    @Test(
        "S6: every route of these refuses who has no token, or one for another service",
        arguments: TestEngine.allCases
    )
    func s6SecondPath(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let tag = try await Self.furnish(chat)
            let other = "Bearer \(try chat.tokens.token(for: "owner", ["aud": #""tessera""#]))"
            let lists: [Attempt] = [
                (.get, "/v1/conversations", nil), (.get, "/v1/conversations?trash=true", nil),
                (.post, "/v1/conversations", "{}"), (.delete, "/v1/conversations?all=true", nil),
                (.delete, "/v1/conversations?all=true&permanent=true", nil), (.get, "/v1/tags", nil),
            ]
            for (method, path, body) in Self.attempts("c", "m", tag: tag) + lists {
                for headers in [[:], [.authorization: other]] as [HTTPFields] {
                    let answer = try await chat.send(method, path, as: nil, body, headers: headers)
                    #expect(answer.status == 401, "\(method) \(path)")
                }
            }
            try await chat.expectSound("c", count: 1)
        }
    }

    @Test("S7: an id in another spelling is another id", arguments: TestEngine.allCases)
    func s7Spellings(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let tag = try await Self.furnish(chat)
            try await chat.create(#"{"id":"a:b","messages":[{"role":"user","content":"x","id":"a:m"}]}"#)
            for id in ["A:b", "a_b", "a%3Ab%00", "a%253Ab", "a:b%20", "%61:b%2F", "a%EF%BC%9Ab"] {
                for (method, path, body) in Self.attempts(id, "a:m", tag: tag.uppercased() + "x") {
                    let answer = try await chat.send(method, path, body)
                    // What no text can hold is refused before it is looked up.
                    let expected = path.contains("%00") ? [400] : [404, 405]
                    #expect(expected.contains(answer.status), "\(method) \(path): \(answer.status)")
                }
            }
            try await chat.expectSound("a:b", count: 1)
        }
    }

    @Test("S11: names of tags and filters are values, never SQL", arguments: TestEngine.allCases)
    func s11Injection(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c"}"#)
            let names = [
                "'; DROP TABLE tags; --", #"" OR ""=""#, "%", "_", "$1", "\\", "a,b", "[]", "{}", "null", "'||'x",
            ]
            for name in names {
                let json = JSONWriter.value { $0.string(name) }
                let set = try await chat.send(.put, "/v1/conversations/c/tags", #"{"tags":[\#(json)]}"#)
                #expect(try set.json["tags"]?.array?.map(\.string) == [name], "\(name)")
                let escaped = name.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                let found = try await chat.send(.get, "/v1/conversations?tag=\(escaped)").json
                #expect(found["data"]?.array?.count == 1, "\(name)")
                #expect(
                    try await chat.send(.delete, "/v1/conversations/c/tags/\(escaped)").json["tags"]?.array?.isEmpty
                        == true
                )
                #expect(
                    try await chat.send(.get, "/v1/conversations?tag=\(escaped)").json["data"]?.array?.isEmpty == true
                )
            }
            #expect(try await chat.rows("tags") == Int64(names.count))
            for query in ["order_by=id", "sort=title;--"] {
                let answer = try await chat.send(.get, "/v1/conversations?\(query)")
                #expect(answer.status == 400 && answer.code == "validation_failed", "\(query): \(answer.text)")
            }
        }
    }

    @Test("S12: odd, deep and missing bodies are refused, and the service answers on", arguments: TestEngine.allCases)
    func s12Bodies(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let tag = try await Self.furnish(chat)
            let deep = String(repeating: "[", count: 100_000)
            let large = #"{"tags":["\#(String(repeating: "x", count: 70_000))"]}"#
            let many = "{\"tags\":[\(Array(repeating: "\"x\"", count: 10_000).joined(separator: ","))]}"
            let writes =
                Self.attempts("c", "m", tag: tag).filter { $0.body != nil } + [(.post, "/v1/conversations", "{}")]
            for (method, path, _) in writes {
                for body in [deep, "", "null", "[]", "7", #""x""#, "{\"a\":", large, many, "\u{FEFF}{}"] {
                    // A fork needs no body.
                    if body.isEmpty, path.hasSuffix("/fork") { continue }
                    let answer = try await chat.send(method, path, body)
                    #expect(
                        [400, 413].contains(answer.status),
                        "\(method) \(path) \(body.prefix(20)): \(answer.status)"
                    )
                }
            }
            // A DELETE without a body, and one with nonsense.
            #expect(try await chat.send(.delete, "/v1/conversations/c/messages/m/vote", deep).status == 204)
            try await chat.expectSound("c", count: 1)
        }
    }

    @Test(
        "S14: identity is the token's; headers and bodies that say otherwise do not count",
        arguments: TestEngine.allCases
    )
    func s14Boundary(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            _ = try await Self.furnish(chat)
            let name = try #require(HTTPField.Name("X-Auth-User"))
            for path in ["/v1/conversations/c", "/v1/conversations/c/votes", "/v1/conversations/c/tags"] {
                #expect(try await chat.send(.get, path, as: "stranger", headers: [name: "owner"]).status == 404)
                #expect(try await chat.send(.get, path, as: nil, headers: [name: "owner"]).status == 401)
            }
            for body in [#"{"owner_id":"owner"}"#, #"{"user_id":"owner"}"#] {
                #expect(try await chat.send(.post, "/v1/conversations", as: "stranger", body).status == 400)
            }
            let forged = "Bearer \(try chat.tokens.forged(for: "owner"))"
            let answer = try await chat.send(
                .delete,
                "/v1/conversations?all=true&permanent=true",
                as: nil,
                headers: [.authorization: forged]
            )
            #expect(answer.status == 401)
            #expect(try await chat.rows("conversations") == 1)
        }
    }

    @Test("S15: knowing the ids of a fork's messages opens nothing", arguments: TestEngine.allCases)
    func s15PredictableIDs(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            _ = try await Self.furnish(chat)
            let fork = try await chat.send(.post, "/v1/conversations/c/fork").json
            let id = try #require(fork["id"]?.string)
            try await chat.create(#"{"id":"mine"}"#, as: "stranger")
            for path in ["/v1/conversations/\(id)/messages/\(id).1", "/v1/conversations/mine/messages/\(id).1"] {
                #expect(try await chat.send(.get, path, as: "stranger").status == 404)
                #expect(try await chat.send(.put, path + "/vote", as: "stranger", #"{"value":"up"}"#).status == 404)
            }
            let parent = #"{"role":"user","content":"x","parent_id":"\#(id).1"}"#
            let answer = try await chat.send(.post, "/v1/conversations/mine/messages", as: "stranger", parent)
            #expect(answer.violations == ["parent_id invalid"])
        }
    }

    @Test(
        "S17: tags, votes, trash, restores and forks at once leave counters and rows in agreement",
        arguments: TestEngine.allCases
    )
    func s17Storm(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            _ = try await Self.furnish(chat)
            let statuses = try await inParallel(48) { index -> Int in
                let path = "/v1/conversations/c"
                let requests: [Attempt] = [
                    (.post, path + "/messages", #"{"role":"user","content":"x"}"#), (.post, path + "/fork", nil),
                    (.delete, path, nil), (.post, path + "/restore", nil), (.put, path + "/tags/t\(index)", nil),
                    (.put, path + "/messages/m/vote", #"{"value":"down"}"#), (.patch, path, #"{"pinned":true}"#),
                    (.post, path + "/restore", nil),
                ]
                let (method, path2, body) = requests[index % requests.count]
                return try await chat.send(method, path2, body, node: index).status
            }
            #expect(statuses.allSatisfy { [200, 201, 204, 404, 409].contains($0) }, "\(statuses)")
            #expect(try await chat.send(.post, "/v1/conversations/c/restore").status == 200)
            for row in try await chat.pages("/v1/conversations?limit=50").flatMap({ $0 }) {
                let id = try #require(row["id"]?.string)
                try await chat.expectSound(id, count: Int(row["message_count"]?.integer ?? -1))
            }
            #expect(try await chat.leftovers() == 0)
        }
    }
}
