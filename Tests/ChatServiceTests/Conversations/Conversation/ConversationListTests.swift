import HTTPTypes
import ServiceKit
import TestSupport
import Testing

@Suite("The list of conversations")
struct ConversationListTests {
    /// 25 conversations, five per instant, in the order of the list.
    private static func fill(_ chat: Chat, _ clock: TestClock) async throws -> [String] {
        var made: [(tick: Int, id: String)] = []
        for index in 0..<25 {
            if index.isMultiple(of: 5) { clock.advance(.seconds(1)) }
            made.append((index / 5, try await chat.conversation()))
        }
        return made.sorted { ($0.tick, $0.id) > ($1.tick, $1.id) }.map(\.id)
    }

    @Test("pages meet without overlap or gap in both directions, ties included", arguments: TestEngine.allCases)
    func paging(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let expected = try await Self.fill(chat, clock)
            for limit in [1, 4, 7, 25, 100] {
                let pages = try await chat.pages("/v1/conversations?limit=\(limit)")
                #expect(pages.flatMap { $0.compactMap { $0["id"]?.string } } == expected)
                #expect(pages.dropLast().allSatisfy { $0.count == limit })
            }
            let all = try await chat.send(.get, "/v1/conversations?limit=24").json
            let last = try await chat.send(
                .get,
                "/v1/conversations?limit=24&after=\(try #require(all["next_cursor"]?.string))"
            ).json
            var cursor = last["prev_cursor"]?.string
            var seen = last["data"]?.array?.compactMap { $0["id"]?.string } ?? []
            while let before = cursor {
                let page = try await chat.send(.get, "/v1/conversations?limit=4&before=\(before)").json
                seen = (page["data"]?.array?.compactMap { $0["id"]?.string } ?? []) + seen
                cursor = page["prev_cursor"]?.string
            }
            #expect(seen == expected)
        }
    }

    @Test("whatever is written to a conversation brings it to the top", arguments: TestEngine.allCases)
    func order(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let ids = try await Self.fill(chat, clock)
            clock.advance(.seconds(1))
            try await chat.append(#"{"role":"user","content":"x"}"#, to: ids[20])
            clock.advance(.seconds(1))
            _ = try await chat.send(.patch, "/v1/conversations/\(ids[10])", #"{"title":"t"}"#)
            let top = try await chat.send(.get, "/v1/conversations?limit=2").json["data"]?.array
            #expect(top?.compactMap { $0["id"]?.string } == [ids[10], ids[20]])
            let message = try #require(try await chat.messages(ids[20]).first?["id"]?.string)
            let path = "/v1/conversations/\(ids[20])/messages/\(message)"
            let changes: [(HTTPRequest.Method, String?)] = [
                (.patch, #"{"content":"y"}"#), (.patch, #"{"tokens_in":2}"#), (.patch, #"{"status":"incomplete"}"#),
                (.delete, nil),
            ]
            for (method, body) in changes {
                clock.advance(.seconds(1))
                _ = try await chat.send(.patch, "/v1/conversations/\(ids[10])", #"{"title":"t"}"#)
                clock.advance(.seconds(1))
                #expect(try await chat.send(method, path, body).status < 300)
                let first = try await chat.send(.get, "/v1/conversations?limit=1").json["data"]?.array?.first
                #expect(first?["id"]?.string == ids[20], "\(method) \(body ?? "")")
            }
            // A list omits large members.
            #expect(top?.first?["metadata"] == nil)
        }
    }

    @Test("filters and counts go together", arguments: TestEngine.allCases)
    func filters(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for index in 0..<6 {
                let id = try await chat.conversation()
                let body = #"{"archived":\#(index < 2),"pinned":\#(index.isMultiple(of: 2))}"#
                _ = try await chat.send(.patch, "/v1/conversations/\(id)", body)
            }
            try await chat.create(as: "stranger")
            let counts = [
                "": 6, "&archived=true": 2, "&archived=false": 4, "&pinned=true": 3, "&archived=true&pinned=true": 1,
                "&archived=false&pinned=false": 2,
            ]
            for (filter, count) in counts {
                let page = try await chat.send(.get, "/v1/conversations?limit=1&count=true\(filter)").json
                #expect(page["total"]?.integer == Int64(count), "\(filter)")
                let all = try await chat.pages("/v1/conversations?limit=1\(filter)").flatMap { $0 }
                #expect(all.count == count, "\(filter)")
            }
            #expect(try await chat.send(.get, "/v1/conversations").json["total"] == nil)
        }
    }
}
