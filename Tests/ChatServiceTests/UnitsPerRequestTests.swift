// What a request costs the database, counted at the waist: every unit that the service runs for it. A chat's hot
// requests are one unit each, whatever they carry, and the token is verified without a look at any row.
import ChatService
import HTTPTypes
import Storage
import TestSupport
import Testing

@Suite("Units per request")
struct UnitsPerRequestTests {
    private static let before = ["principals.touch", "principals.state"]

    @Test("hot requests are one unit", arguments: TestEngine.allCases)
    func hot(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let units = try #require(chat.database as? CountingDatabase)
            let id = try await chat.conversation(#"{"title":"Notes"}"#)
            let path = "/v1/conversations/\(id)"
            let one = #"{"role":"user","parts":[{"type":"text","text":"hello"}]}"#
            let spending =
                #"{"role":"assistant","parts":[{"type":"text","text":"hi"}],"tokens_in":3,"tokens_out":4,"tokens_total":7}"#

            let append =
                Self.before + ["conversations.lock", "messages.insert", "usage.count", "conversations.advance"]
            let spend =
                Self.before + [
                    "conversations.lock", "messages.insert", "usage.record", "usage.count", "principals.add_tokens",
                    "conversations.advance",
                ]
            let table: [(method: HTTPRequest.Method, path: String, body: String?, status: Int, unit: [String])] = [
                (.post, path + "/messages", one, 201, append),
                (.post, path + "/messages", spending, 201, spend),
                (.get, path + "/messages?limit=20", nil, 200, ["messages.later"]),
                (
                    .get, path + "/messages?limit=20&count=true", nil, 200,
                    ["conversations.is_visible", "messages.later"]
                ),
                (.get, path, nil, 200, ["conversations.get"]),
                (.get, path + "?include=messages", nil, 200, ["conversations.get", "messages.earlier"]),
                (.get, "/v1/conversations", nil, 200, ["conversations.older"]),
                (.get, "/v1/conversations?count=true", nil, 200, ["conversations.older", "conversations.count"]),
                (.post, "/v1/conversations", "{}", 201, Self.before + ["conversations.insert"]),
                (
                    .patch, path, #"{"title":"More notes"}"#, 200,
                    Self.before + ["conversations.change", "conversations.is_visible"]
                ),
                (.delete, path, nil, 204, Self.before + ["conversations.trash", "conversations.is_visible"]),
            ]
            for request in table {
                units.forget()
                let answer = try await chat.send(request.method, request.path, as: "owner", request.body)
                #expect(answer.status == request.status, "\(request.method) \(request.path): \(answer.text)")
                #expect(units.units == [request.unit], "\(request.method) \(request.path)")
            }
        }
    }

    @Test("a request that is refused for its token or its body runs none", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let units = try #require(chat.database as? CountingDatabase)
            units.forget()
            #expect(try await chat.send(.get, "/v1/conversations", as: nil).status == 401)
            #expect(try await chat.send(.post, "/v1/conversations", as: "owner", #"{"title":7}"#).status == 400)
            #expect(units.units == [])
        }
    }
}
