import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Conversations")
struct ConversationTests {
    @Test("an empty conversation has defaults, a location and an ETag", arguments: TestEngine.allCases)
    func empty(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let answer = try await chat.send(.post, "/v1/conversations", "{}")
            #expect(answer.status == 201)
            let row = try answer.json
            let id = try #require(row["id"]?.string)
            #expect(answer.headers[.location] == "/v1/conversations/\(id)")
            #expect(answer.headers[.eTag] == "\"v1\"")
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(row["owner_id"]?.string == "owner")
            #expect(row["title"]?.isNull == true)
            #expect(row["visibility"]?.string == "private")
            #expect(row["pinned"]?.boolean == false)
            #expect(row["message_count"]?.integer == 0)
            #expect(row["settings"]?.raw == "{}")
            let again = try await chat.send(.get, "/v1/conversations/\(id)")
            #expect(again.status == 200)
            #expect(again.text == answer.text)
        }
    }

    @Test("a conversation with messages comes back whole, numbered and chained", arguments: TestEngine.allCases)
    func nested(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let row = try await chat.create(
                """
                {"id":"c-1","title":"Tides","model":"m-1","slug":"/chat/tides","visibility":"UNLISTED",
                 "settings":{"temperature": 0.5},"metadata":{"a":1},
                 "messages":[{"role":"user","content":"Why?","id":"m-1"},
                             {"role":"Assistant","content":"The moon.","tokens_in":3,"tokens_out":4}]}
                """
            )
            #expect(row["id"]?.string == "c-1")
            #expect(row["title"]?.string == "Tides")
            #expect(row["title_source"]?.string == "user")
            #expect(row["visibility"]?.string == "unlisted")
            #expect(row["settings"]?.raw == "{\"temperature\": 0.5}")
            #expect(row["version"]?.integer == 1)
            #expect(row["tokens_in"]?.integer == 3)
            #expect(row["tokens_out"]?.integer == 4)
            let messages = try #require(row["messages"]?.array)
            #expect(messages.map { $0["seq"]?.integer } == [1, 2])
            #expect(messages[0]["parent_id"]?.isNull == true)
            #expect(messages[1]["parent_id"]?.string == "m-1")
            #expect(messages[0]["author_id"]?.string == "owner")
            #expect(messages[1]["author_id"]?.isNull == true)
            #expect(messages[1]["tokens_total"]?.integer == 7)
            try await chat.expectSound("c-1", count: 2)
            let read = try await chat.messages("c-1")
            #expect(read.map(\.raw) == messages.map(\.raw))
        }
    }

    @Test("a first message whose id exists leaves no conversation behind", arguments: TestEngine.allCases)
    func nestedConflict(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"messages":[{"role":"user","content":"x","id":"taken"}]}"#)
            let answer = try await chat.send(
                .post,
                "/v1/conversations",
                #"{"id":"c-2","messages":[{"role":"user","content":"a"},{"role":"user","content":"b","id":"taken"},{"role":"user","content":"c"}]}"#
            )
            #expect(answer.status == 409)
            #expect(answer.code == "id_taken")
            #expect(try await chat.send(.get, "/v1/conversations/c-2").status == 404)
            #expect(try await chat.leftovers() == 0)
            let later = try await chat.create(#"{"id":"c-2"}"#)
            #expect(later["message_count"]?.integer == 0)
        }
    }

    @Test("an id that exists is 409 and never adopted, whoever holds it", arguments: TestEngine.allCases)
    func idTaken(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c-1","title":"first"}"#)
            let body = #"{"id":"c-1","title":"second","messages":[{"role":"user","content":"intruder"}]}"#
            for user in ["owner", "stranger"] {
                let answer = try await chat.send(.post, "/v1/conversations", as: user, body)
                #expect(answer.status == 409)
                #expect(answer.code == "id_taken")
            }
            #expect(try await chat.send(.get, "/v1/conversations/c-1").json["title"]?.string == "first")
            try await chat.expectSound("c-1", count: 0)
            #expect(try await chat.send(.delete, "/v1/conversations/c-1").status == 204)
            #expect(try await chat.send(.post, "/v1/conversations", body).code == "id_taken")
            #expect(try await chat.leftovers() == 0)
        }
    }

    @Test("a patch changes what it names and nothing else", arguments: TestEngine.allCases)
    func patch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"title":"a","model":"m","settings":{"x":1}}"#)
            let path = "/v1/conversations/\(id)"
            let archived = try await chat.send(
                .patch,
                path,
                #"{"archived":true,"archive_reason":"done","pinned":true}"#
            )
            #expect(archived.status == 200)
            #expect(archived.headers[.eTag] == "\"v2\"")
            let row = try archived.json
            #expect(row["archived"]?.boolean == true)
            #expect(row["archive_reason"]?.string == "done")
            #expect(row["archived_at"]?.string == row["updated_at"]?.string)
            #expect(row["pinned"]?.boolean == true)
            #expect(row["title"]?.string == "a")
            #expect(row["model"]?.string == "m")
            #expect(row["settings"]?.raw == #"{"x":1}"#)
            let again = try await chat.send(.patch, path, #"{"archived":true}"#).json
            #expect(again["archived_at"]?.string == row["archived_at"]?.string)
            let back = try await chat.send(
                .patch,
                path,
                #"{"archived":false,"pinned":false,"title":"b","model":null,"visibility":"public","settings":{"y": 2}}"#
            ).json
            #expect(back["archived_at"]?.isNull == true)
            #expect(back["archive_reason"]?.isNull == true)
            #expect(back["pinned_at"]?.isNull == true)
            #expect(back["title"]?.string == "b")
            #expect(back["model"]?.isNull == true)
            #expect(back["visibility"]?.string == "public")
            #expect(back["settings"]?.raw == #"{"y": 2}"#)
            #expect(back["version"]?.integer == 4)
            let nothing = try await chat.send(.patch, path, "{}")
            #expect(nothing.status == 200)
            #expect(try nothing.json.raw == back.raw)
        }
    }

    @Test(
        "metadata is merged by member, and what the patch does not name keeps its bytes",
        arguments: TestEngine.allCases
    )
    func metadata(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"metadata":{"a": 1.50,"b":{"deep":[1, 2]},"c":"é"}}"#)
            let path = "/v1/conversations/\(id)"
            let answer = try await chat.send(.patch, path, #"{"metadata":{"c":null,"d":"\"q\"","a":2e1,"gone":null}}"#)
            #expect(try answer.json["metadata"]?.raw == #"{"a":2e1,"b":{"deep":[1, 2]},"d":"\"q\""}"#)
            let large = String(repeating: "x", count: 9000)
            #expect(try await chat.send(.patch, path, #"{"metadata":{"e":"\#(large)"}}"#).status == 200)
            let refused = try await chat.send(.patch, path, #"{"metadata":{"f":"\#(large)"}}"#)
            #expect(refused.status == 400)
            #expect(refused.violations == ["metadata too_long"])
        }
    }

    @Test(
        "metadata of names that look the same but differ in a byte are merged each by itself",
        arguments: TestEngine.allCases
    )
    func names(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = "/v1/conversations/\(try await chat.conversation("{\"metadata\":{\"\u{E9}\":1}}"))"
            let merged = try await chat.send(.patch, path, "{\"metadata\":{\"e\u{301}\":2}}").json
            let expected = "{\"\u{E9}\":1,\"e\u{301}\":2}"
            #expect(merged["metadata"]?.raw.utf8.elementsEqual(expected.utf8) == true)
            let removed = try await chat.send(.patch, path, "{\"metadata\":{\"\u{E9}\":null}}").json
            #expect(removed["metadata"]?.raw.utf8.elementsEqual("{\"e\u{301}\":2}".utf8) == true)
        }
    }

    @Test("a reason is of an archived conversation alone", arguments: TestEngine.allCases)
    func reason(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = "/v1/conversations/\(try await chat.conversation())"
            let kept = try await chat.send(.patch, path, #"{"archive_reason":"none"}"#).json
            #expect(kept["archive_reason"]?.isNull == true)
            _ = try await chat.send(.patch, path, #"{"archived":true}"#)
            let archived = try await chat.send(.patch, path, #"{"archive_reason":"later"}"#).json
            #expect(archived["archive_reason"]?.string == "later")
            let back = try await chat.send(.patch, path, #"{"archived":false,"archive_reason":"x"}"#).json
            #expect(back["archive_reason"]?.isNull == true)
        }
    }

    @Test("an If-Match that names nothing matches nothing", arguments: TestEngine.allCases)
    func emptyIfMatch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = "/v1/conversations/\(try await chat.conversation())"
            for value in ["", " ", ",", " , "] {
                let answer = try await chat.send(.patch, path, #"{"title":"x"}"#, headers: [.ifMatch: value])
                #expect(answer.status == 412, "'\(value)'")
                #expect(try await chat.send(.delete, path, headers: [.ifMatch: value]).status == 412, "'\(value)'")
            }
        }
    }

    @Test("If-Match guards a change and a deletion", arguments: TestEngine.allCases)
    func ifMatch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = "/v1/conversations/\(try await chat.conversation())"
            let first = try await chat.send(.patch, path, #"{"title":"one"}"#, headers: [.ifMatch: "\"v1\""])
            #expect(first.status == 200)
            for stale in ["\"v1\"", "W/\"v2\"", "\"2\"", "nonsense"] {
                let answer = try await chat.send(.patch, path, #"{"title":"two"}"#, headers: [.ifMatch: stale])
                #expect(answer.status == 412, "\(stale)")
                #expect(answer.code == "precondition_failed")
                let deletion = try await chat.send(.delete, path, headers: [.ifMatch: stale])
                let shown = try await chat.send(.get, path).json.raw
                for refusal in [answer, deletion] {
                    #expect(refusal.status == 412)
                    #expect(refusal.headers[.eTag] == "\"v2\"")
                    #expect(try refusal.json["current"]?.raw == shown)
                }
            }
            let listed = try await chat.send(.patch, path, #"{"title":"two"}"#, headers: [.ifMatch: "\"v1\", \"v2\""])
            #expect(listed.headers[.eTag] == "\"v3\"")
            #expect(try await chat.send(.patch, path, #"{"title":"three"}"#, headers: [.ifMatch: "*"]).status == 200)
            #expect(try await chat.send(.delete, path, headers: [.ifMatch: "\"v4\""]).status == 204)
        }
    }

    @Test("a deleted conversation is gone from every path, and its slug is free", arguments: TestEngine.allCases)
    func trash(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"slug":"s","messages":[{"role":"user","content":"x","id":"m-1"}]}"#)
            let path = "/v1/conversations/\(id)"
            #expect(try await chat.send(.delete, path).status == 204)
            #expect(try await chat.send(.delete, path).status == 404)
            #expect(try await chat.send(.get, path).status == 404)
            #expect(try await chat.send(.get, path + "?include=messages").status == 404)
            #expect(try await chat.send(.patch, path, #"{"title":"x"}"#).status == 404)
            #expect(try await chat.send(.get, path + "/messages").status == 404)
            #expect(try await chat.send(.get, path + "/messages/m-1").status == 404)
            #expect(try await chat.send(.post, path + "/messages", #"{"role":"user","content":"y"}"#).status == 404)
            #expect(try await chat.pages("/v1/conversations?limit=20").allSatisfy(\.isEmpty))
            try await chat.create(#"{"slug":"s"}"#)
        }
    }

    @Test("a slug is one conversation's per owner", arguments: TestEngine.allCases)
    func slug(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let first = try await chat.conversation(#"{"slug":"s"}"#)
            #expect(try await chat.send(.post, "/v1/conversations", #"{"slug":"s"}"#).code == "slug_taken")
            try await chat.create(#"{"slug":"s"}"#, as: "stranger")
            let second = try await chat.conversation()
            let taken = try await chat.send(.patch, "/v1/conversations/\(second)", #"{"slug":"s"}"#)
            #expect(taken.status == 409)
            #expect(taken.code == "slug_taken")
            #expect(try await chat.send(.patch, "/v1/conversations/\(first)", #"{"slug":"s"}"#).status == 200)
            #expect(try await chat.send(.patch, "/v1/conversations/\(first)", #"{"slug":null}"#).status == 200)
            #expect(try await chat.send(.patch, "/v1/conversations/\(second)", #"{"slug":"s"}"#).status == 200)
        }
    }

    @Test("a conversation comes with its newest messages, oldest first", arguments: TestEngine.allCases)
    func include(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            for batch in 0..<3 {
                let items = (0..<50).map { #"{"role":"user","content":"\#(batch * 50 + $0)"}"# }
                try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            }
            let path = "/v1/conversations/\(id)"
            let whole = try await chat.send(.get, path + "?include=messages").json
            #expect(whole["messages"]?.array?.compactMap { $0["seq"]?.integer } == Array(51...150))
            let cursor = try #require(whole["messages_prev_cursor"]?.string)
            let rest = try await chat.send(.get, path + "/messages?limit=100&before=\(cursor)").json
            #expect(rest["data"]?.array?.compactMap { $0["seq"]?.integer } == Array(1...50))
            #expect(rest["has_more"]?.boolean == false)
        }
    }

    @Test(
        "who was erased or deactivated writes nothing, and a live token brings nothing back",
        arguments: TestEngine.allCases
    )
    func erased(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let path = "/v1/conversations/\(id)"
            try await chat.append(#"{"id":"m-1","role":"user","content":"x"}"#, to: id)
            for (active, erased) in [(false, nil), (true, Instant(seconds: 1))] as [(Bool, Instant?)] {
                try await chat.mark("owner", active: active, erasedAt: erased)
                let writes: [(HTTPRequest.Method, String, String?)] = [
                    (.post, "/v1/conversations", "{}"),
                    (.post, "/v1/conversations", #"{"messages":[{"role":"user","content":"x"}]}"#),
                    (.patch, path, #"{"title":"x"}"#),
                    (.patch, path, #"{"metadata":{"x":1}}"#),
                    (.delete, path, nil),
                    (.post, path + "/messages", #"{"role":"user","content":"x"}"#),
                    (.patch, path + "/messages/m-1", #"{"content":"y"}"#),
                    (.patch, path + "/messages/m-1", #"{"tokens_in":9,"metadata":{"x":1}}"#),
                    (.delete, path + "/messages/m-1", nil),
                    (.delete, path + "/messages?after_seq=0", nil),
                    (.patch, path, #"{"head_message_id":"m-1"}"#),
                    (
                        .post, path + "/messages",
                        #"{"messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]}"#
                    ),
                ]
                for (method, path, body) in writes {
                    let answer = try await chat.send(method, path, body)
                    #expect(answer.status == 403, "\(method) \(path)")
                    #expect(answer.code == "user_inactive")
                }
            }
            try await chat.mark("owner", active: true, erasedAt: nil)
            try await chat.expectSound(id, count: 1)
            #expect(try await chat.pages("/v1/conversations?limit=20").flatMap { $0 }.count == 1)
        }
    }
}
