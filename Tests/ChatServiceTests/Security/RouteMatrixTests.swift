// Every route with every caller. The routes are the router's, so a new one fails the test until it has a request here.
// Another user's object is 404, for admins too, and a child exists below its own parent alone.
import ChatService
import HTTPTypes
import Hummingbird
import Logging
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Route matrix")
struct RouteMatrixTests {
    private static let requests: [String: (query: String, body: String?)] = [
        "GET v1/conversations": ("", nil),
        "POST v1/conversations": ("", "{}"),
        "DELETE v1/conversations": ("?all=true", nil),
        "GET v1/conversations/{}": ("?include=messages,votes", nil),
        "PATCH v1/conversations/{}": ("", #"{"title":"Mine now"}"#),
        "DELETE v1/conversations/{}": ("", nil),
        "POST v1/conversations/{}/restore": ("", nil),
        "PUT v1/conversations/{}/read": ("", #"{"seq":1}"#),
        "POST v1/conversations/{}/fork": ("", "{}"),
        "GET v1/conversations/{}/tags": ("", nil),
        "PUT v1/conversations/{}/tags": ("", #"{"tags":["other"]}"#),
        "PUT v1/conversations/{}/tags/{}": ("", nil),
        "DELETE v1/conversations/{}/tags/{}": ("", nil),
        "GET v1/conversations/{}/votes": ("", nil),
        "GET v1/conversations/{}/messages": ("", nil),
        "POST v1/conversations/{}/messages": ("", #"{"role":"user","content":"Mine now"}"#),
        "DELETE v1/conversations/{}/messages": ("?after_seq=0", nil),
        "GET v1/conversations/{}/messages/{}": ("", nil),
        "PATCH v1/conversations/{}/messages/{}": ("", #"{"content":"Mine now"}"#),
        "DELETE v1/conversations/{}/messages/{}": ("", nil),
        "PUT v1/conversations/{}/messages/{}/vote": ("", #"{"value":"up"}"#),
        "DELETE v1/conversations/{}/messages/{}/vote": ("", nil),
        "GET v1/tags": ("", nil),
        "PATCH v1/tags/{}": ("", #"{"name":"Mine now"}"#),
        "DELETE v1/tags/{}": ("", nil),
        "GET v1/search": ("?q=marker", nil),
        "GET v1/usage": ("", nil),
        "POST v1/usage/reservations": ("", #"{"tokens":10}"#),
        "DELETE v1/usage/reservations/{}": ("", nil),
        "POST v1/usage/reservations/{}/settle": ("", #"{"tokens_in":1,"tokens_out":1}"#),
        "GET v1/changes": ("", nil),
        "POST v1/changes/tickets": ("", nil),
        "GET v1/chat/export": ("", nil),
        "DELETE v1/chat/data": ("", nil),
        "GET v1/chat/data/erasure": ("", nil),
        "GET v1/chat/admin/stats": ("", nil),
        "GET v1/chat/admin/users/{}/data": ("", nil),
        "DELETE v1/chat/admin/users/{}/data": ("", nil),
        "GET v1/chat/admin/users/{}/data/erasure": ("", nil),
    ]
    private static let open: Set<String> = ["GET healthz", "GET readyz", "GET openapi.yaml"]

    private struct Route: CustomStringConvertible {
        let method: HTTPRequest.Method
        let path: [String]

        var shape: String {
            "\(method.rawValue) " + path.map { $0.hasPrefix(":") ? "{}" : $0 }.joined(separator: "/")
        }
        var description: String { shape }
        var isAdmin: Bool { path.starts(with: ["v1", "chat", "admin"]) }
        var namesSomething: Bool { path.contains { $0.hasPrefix(":") } }
    }

    /// A user's conversation with a message, a tag and a vote, and a reservation.
    private struct Belongings {
        let owner: String
        var conversation: String
        let message: String
        let tag: String
        let reservation: String

        func path(_ route: Route) -> String {
            var place: String?
            let parts = route.path.map { part in
                defer { place = part.hasPrefix(":") ? place : part }
                switch (part, place) {
                case (":message_id", _): return message
                case (":tag_id", _): return tag
                case (":name", _): return "science"
                case (":id", "users"): return owner
                case (":id", "reservations"): return reservation
                case (":id", _): return conversation
                default: return part
                }
            }
            return "/" + parts.joined(separator: "/")
        }
    }

    @Test("everybody gets what is theirs, and nobody what is not", arguments: TestEngine.allCases)
    func matrix(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let routes = Self.routes(chat).filter { !Self.open.contains($0.shape) }
            #expect(routes.count > 30)
            let own = try await Self.belongings("owner", in: chat)
            _ = try await Self.belongings("gone", in: chat)
            #expect(try await chat.send(.delete, "/v1/chat/data", as: "gone").status == 200)

            for route in routes {
                guard let request = Self.requests[route.shape] else {
                    Issue.record("no request for \(route)")
                    continue
                }
                func ask(_ user: String?, _ changes: [String: String?] = [:], of belongings: Belongings = own)
                    async throws -> Answer
                {
                    var headers: HTTPFields = [:]
                    if let user { headers[.authorization] = "Bearer \(try chat.tokens.token(for: user, changes))" }
                    let path = belongings.path(route) + request.query
                    return try await chat.send(route.method, path, as: nil, request.body, headers: headers)
                }
                #expect(try await ask(nil).status == 401, "\(route), nobody")
                let service = try await ask("client_backup", ["sid": nil, "kind": nil, "role": nil, "ver": nil])
                #expect([401, 403].contains(service.status), "\(route), a service: \(service.status)")
                try await Self.expectErased(try await ask("gone", of: own), route)

                for (name, changes) in [
                    ("other", [:]), ("visitor", ["kind": #""guest""#]), ("boss", ["role": #""admin""#]),
                ] as [(String, [String: String?])] {
                    // It erases the caller, who would be gone from then on.
                    if route.shape == "DELETE v1/chat/data" { continue }
                    // An admin may erase; then nothing would be left to check.
                    if route.isAdmin, route.method == .delete, name == "boss" { continue }
                    let answer = try await ask(name, changes)
                    let what: Comment = "\(route), \(name): \(answer.status) \(answer.text)"
                    if route.isAdmin {
                        #expect(name == "boss" ? [200, 404].contains(answer.status) : answer.status == 403, what)
                    } else if route.namesSomething || route.shape == "GET v1/chat/data/erasure" {
                        #expect(answer.status == 404, what)
                    } else {
                        #expect((200..<300).contains(answer.status), what)
                    }
                    #expect(!answer.text.contains("marker"), what)
                }
            }
            // The attempts left no trace.
            let now = try await chat.send(.get, "/v1/conversations/\(own.conversation)?include=messages", as: "owner")
            #expect(now.text.contains("marker") && !now.text.contains("Mine now"))
            #expect(try now.json["version"]?.integer == 2)
        }
    }

    @Test("a child is found below its own parent alone", arguments: TestEngine.allCases)
    func children(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let own = try await Self.belongings("owner", in: chat)
            var elsewhere = own
            elsewhere.conversation = try await chat.conversation()
            let routes = Self.routes(chat).filter { $0.path.contains(":message_id") }
            #expect(routes.count >= 5)
            for route in routes {
                let request = try #require(Self.requests[route.shape])
                let answer = try await chat.send(
                    route.method,
                    elsewhere.path(route) + request.query,
                    as: "owner",
                    request.body
                )
                #expect(answer.status == 404, "\(route): \(answer.text)")
            }
        }
    }

    @Test("the owner may everything, a guest too", arguments: TestEngine.allCases, [[:], ["kind": #""guest""#]])
    func owner(engine: TestEngine, changes: [String: String]) async throws {
        try await withChat(engine) { chat in
            let routes = Self.routes(chat).filter { !Self.open.contains($0.shape) && !$0.isAdmin }
            for (index, route) in routes.enumerated() {
                // Each route has its own owner, who loses nothing to the others.
                let owner = "owner-\(index)"
                let own = try await Self.belongings(owner, in: chat)
                let request = try #require(Self.requests[route.shape])
                if route.shape.hasSuffix("restore") {
                    let path = "/v1/conversations/\(own.conversation)"
                    #expect(try await chat.send(.delete, path, as: owner).status == 204)
                }
                if route.shape == "GET v1/chat/data/erasure" {
                    #expect(try await chat.send(.delete, "/v1/chat/data", as: owner).status == 200)
                }
                let token = try chat.tokens.token(for: owner, changes)
                let answer = try await chat.send(
                    route.method,
                    own.path(route) + request.query,
                    as: nil,
                    request.body,
                    headers: [.authorization: "Bearer \(token)"]
                )
                #expect((200..<300).contains(answer.status), "\(route): \(answer.status) \(answer.text)")
                #expect(answer.headers[.cacheControl]?.contains("no-store") == true, "\(route)")
            }
        }
    }

    private static func routes(_ chat: Chat) -> [Route] {
        let service = ChatService(
            database: chat.database,
            configuration: .test,
            keys: chat.tokens.keySource,
            isReady: {},
            contract: "openapi: 3.1.0\n",
            logger: .quiet
        )
        return service.buildRouter().routes
            .filter { $0.method != .head }
            .map { Route(method: $0.method, path: $0.path.description.split(separator: "/").map(routePart)) }
    }

    /// `{id}` or `:id`, as the router prints it.
    private static func routePart(_ part: Substring) -> String {
        part.hasPrefix("{") ? ":" + part.dropFirst().dropLast() : String(part)
    }

    private static func belongings(_ owner: String, in chat: Chat) async throws -> Belongings {
        let conversation = try await chat.conversation(#"{"title":"A marker"}"#, as: owner)
        let message = try await chat.append(#"{"role":"user","content":"A marker"}"#, to: conversation, as: owner)
        let path = "/v1/conversations/\(conversation)"
        #expect(try await chat.send(.put, path + "/tags/science", as: owner).status < 300)
        let tags = try await chat.send(.get, "/v1/tags", as: owner).json
        let reserved = try await chat.send(.post, "/v1/usage/reservations", as: owner, #"{"tokens":10}"#)
        return Belongings(
            owner: owner,
            conversation: conversation,
            message: try #require(message["id"]?.string),
            tag: try #require(tags["data"]?.array?.first?["id"]?.string),
            reservation: try #require(try reserved.json["id"]?.string, "\(reserved.text)")
        )
    }

    private static func expectErased(_ answer: Answer, _ route: Route) async throws {
        switch route.shape {
        case "DELETE v1/chat/data", "GET v1/chat/data/erasure": #expect(answer.status == 200, "\(route)")
        default: #expect(answer.status == 403 && answer.code == "user_inactive", "\(route): \(answer.text)")
        }
    }
}
