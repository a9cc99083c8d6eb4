import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Creations that are repeated with ids of their own")
struct RepeatedCreationTests {
    @Test("a message whose row says the same is 200 with the row, and done once", arguments: TestEngine.allCases)
    func message(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"id":"m0","role":"system","content":"Be brief."}]}"#)
            let path = "/v1/conversations/c/messages"
            let bodies = [
                #"{"id":"m1","role":"user","content":"Why?","model":"é","tokens_in":5,"metadata":{"a":1,"b":[2.0]}}"#,
                #"{"id":"m2","role":"assistant","parts":[{"type":"x","y":{"k":1,"l":"\u00e9"}}],"parent_id":"m0"}"#,
                #"{"messages":[{"id":"m3","role":"user","content":"a"},{"role":"assistant","content":"b"},{"id":"m5","role":"user","content":"c","parent_id":null}]}"#,
            ]
            var first: [String] = []
            for body in bodies {
                let answer = try await chat.send(.post, path, body)
                #expect(answer.status == 201, "\(answer.text)")
                first.append(answer.text)
            }
            let before = try await chat.send(.get, "/v1/conversations/c").text
            for (body, text) in zip(bodies, first) {
                let again = try await chat.send(.post, path, body)
                #expect(again.status == 200, "\(again.text)")
                #expect(again.text == text)
            }
            // The JSON values are compared, not their bytes.
            let rewritten = [
                #"{"metadata":{"b":[2],"a":1.0}, "tokens_in":5,"content":"Why?","role":"USER","id":"m1","model":"\u00e9"}"#,
                #"{"id":"m2","role":"assistant","parent_id":"m0","parts":[ {"y":{"l":"é","k":1},"type":"x"} ]}"#,
            ]
            for body in rewritten { #expect(try await chat.send(.post, path, body).status == 200) }
            #expect(try await chat.send(.get, "/v1/conversations/c").text == before)
            try await chat.expectSound("c", count: 6)
            #expect(try await chat.rows("usage_events") == 1)

            // Whatever differs is a conflict, as is the id of another.
            let others = [
                #"{"id":"m1","role":"user","content":"Why not?","model":"é","tokens_in":5,"metadata":{"a":1,"b":[2]}}"#,
                #"{"id":"m1","role":"user","content":"Why?","model":"é","tokens_in":6,"metadata":{"a":1,"b":[2]}}"#,
                #"{"id":"m1","role":"user","content":"Why?","model":"é","tokens_in":5,"metadata":{"a":1}}"#,
                #"{"id":"m1","role":"user","content":"Why?","tokens_in":5,"metadata":{"a":1,"b":[2]}}"#,
                #"{"id":"m2","role":"assistant","parts":[{"type":"x","y":{"k":1,"l":"é"}}],"parent_id":"m1"}"#,
                #"{"messages":[{"id":"m3","role":"user","content":"a"},{"role":"assistant","content":"b"},{"id":"m6","role":"user","content":"c","parent_id":null}]}"#,
                #"{"messages":[{"id":"m5","role":"user","content":"c","parent_id":null},{"role":"user","content":"d"}]}"#,
                #"{"messages":[{"id":"m1","role":"user","content":"Why?"},{"role":"assistant","content":"b"}]}"#,
            ]
            for body in others {
                let answer = try await chat.send(.post, path, body)
                #expect(answer.status == 409, "\(body): \(answer.text)")
                #expect(answer.code == "id_taken")
            }
            try await chat.create(#"{"id":"theirs"}"#, as: "stranger")
            let stranger = try await chat.send(
                .post,
                "/v1/conversations/theirs/messages",
                as: "stranger",
                #"{"id":"m3","role":"user","content":"a"}"#
            )
            #expect(stranger.code == "id_taken")
            // A row that was changed or deleted says something else.
            _ = try await chat.send(.patch, "\(path)/m1", #"{"tokens_in":7}"#)
            #expect(try await chat.send(.post, path, bodies[0]).code == "id_taken")
            _ = try await chat.send(.delete, "\(path)/m2")
            #expect(try await chat.send(.post, path, bodies[1]).code == "id_taken")
            #expect(try await chat.leftovers() == 0)
        }
    }

    @Test("a conversation with its messages is 200 too, and its counters stay", arguments: TestEngine.allCases)
    func conversation(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = "/v1/conversations"
            let bodies = [
                #"{"id":"c","slug":"s","settings":{"t":0.5},"metadata":{"f":"x"},"messages":[{"role":"user","content":"Why?"},{"role":"assistant","content":"So.","tokens_out":3}]}"#,
                #"{"id":"d","title":"T","model":"m"}"#,
            ]
            let first = try await inOrder(bodies) { try await chat.send(.post, path, $0) }
            #expect(first.map(\.status) == [201, 201])
            let again = try await inOrder(bodies) { try await chat.send(.post, path, $0) }
            #expect(again.map(\.status) == [200, 200])
            #expect(again.map(\.text) == first.map(\.text))
            try await chat.expectSound("c", count: 2)
            #expect(try await chat.rows("conversations") == 2)
            for body in [
                #"{"id":"c","slug":"s","settings":{"t":0.5},"metadata":{"f":"x"},"messages":[{"role":"user","content":"Why?"},{"role":"assistant","content":"So!","tokens_out":3}]}"#,
                #"{"id":"c","settings":{"t":0.5},"metadata":{"f":"x"}}"#, #"{"id":"d","title":"U","model":"m"}"#,
                #"{"id":"d","model":"m"}"#,
            ] {
                #expect(try await chat.send(.post, path, body).code == "id_taken", "\(body)")
            }
            #expect(try await chat.send(.post, path, as: "stranger", bodies[1]).code == "id_taken")
            _ = try await chat.send(.delete, "\(path)/d")
            #expect(try await chat.send(.post, path, bodies[1]).code == "id_taken")
        }
    }

    @Test("a key compares JSON values, not the bytes that write them", arguments: TestEngine.allCases)
    func key(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c"}"#)
            let headers: HTTPFields = [.idempotencyKey: "k"]
            let path = "/v1/conversations/c/messages"
            let first = try await chat.send(
                .post,
                path,
                #"{"role":"user","content":"é","metadata":{"a":1,"b":2}}"#,
                headers: headers
            )
            let again = try await chat.send(
                .post,
                path,
                #"{ "metadata": {"b": 2.0, "a": 1}, "content": "\u00e9", "role": "user" }"#,
                headers: headers
            )
            #expect(again.status == 201, "\(again.text)")
            #expect(again.headers[.idempotencyReplayed] == "true")
            #expect(try again.json["id"]?.string == first.json["id"]?.string)
            let other = try await chat.send(
                .post,
                path,
                #"{"role":"user","content":"é","metadata":{"a":1,"b":3}}"#,
                headers: headers
            )
            #expect(other.code == "idempotency_key_reused")
            try await chat.expectSound("c", count: 1)
        }
    }

    @Test("a question cannot be emptied by a patch, an answer can", arguments: TestEngine.allCases)
    func emptied(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            try await chat.append(#"{"id":"q","role":"user","content":"Why?"}"#, to: id)
            try await chat.append(#"{"id":"a","role":"assistant","content":""}"#, to: id)
            let path = "/v1/conversations/\(id)/messages"
            for (body, violation) in [(#"{"content":""}"#, "content too_short"), (#"{"parts":[]}"#, "parts too_short")]
            {
                #expect(try await chat.send(.patch, "\(path)/q", body).violations == [violation])
                #expect(try await chat.send(.patch, "\(path)/a", body).status == 200)
                #expect(try await chat.send(.patch, "\(path)/gone", body).status == 404)
            }
            #expect(try await chat.send(.get, "\(path)/q").json["content"]?.string == "Why?")
        }
    }

    @Test("last takes a limit that is the default or says the same", arguments: TestEngine.allCases)
    func last(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            try await chat.chain(60, in: id)
            for (last, limit) in [(50, 20), (5, 20), (5, 5), (100, 20)] {
                for branch in ["", "&leaf=head"] {
                    let answer = try await chat.send(
                        .get,
                        "/v1/conversations/\(id)/messages?last=\(last)&limit=\(limit)&order=asc\(branch)"
                    )
                    #expect(answer.status == 200, "\(answer.text)")
                    let numbers = try answer.json["data"]?.array?.compactMap { $0["seq"]?.integer } ?? []
                    #expect(numbers == (max(1, 61 - Int64(last))...60).map { $0 })
                }
            }
        }
    }

    private func inOrder<Value>(_ texts: [String], _ body: (String) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for text in texts { values.append(try await body(text)) }
        return values
    }
}
