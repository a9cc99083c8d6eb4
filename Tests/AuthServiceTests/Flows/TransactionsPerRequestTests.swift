// Counts every transaction of a request.
//
// It holds the promise of docs/architecture.md ("Storage: transactions, not round trips"): a frequent request is one
// transaction, and a request without rows has none. Rate limits are on, as in production.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Units per request")
struct TransactionsPerRequestTests {
    private static let credentials = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
    private static let rotation = ["refresh_tokens.rotate", "refresh_tokens.state"]

    @Test("hot requests are one unit or none", arguments: TestEngine.allCases)
    func hot(engine: TestEngine) async throws {
        try await withCounted(engine) { node, counting in
            let ada = try await node.signUp()
            let pair = try await cookie(node)
            let bearer: HTTPFields = [.authorization: "Bearer \(ada.access)"]
            let browser: HTTPFields = [.cookie: pair]

            let hot: [(what: String, path: String, headers: HTTPFields, expected: [[String]])] = [
                ("session by cookie", "/v1/session", browser, [["sessions.state_by_cookie"]]),
                // The caller is one transaction, as for every request, and the data another.
                ("own profile by token", "/v1/me", bearer, [["sessions.state"], ["users.by_id"]]),
                ("own profile by cookie", "/v1/me", browser, [["sessions.state_by_cookie"], ["users.by_id"]]),
                ("the keys that verify tokens", "/.well-known/jwks.json", [:], []),
            ]
            for request in hot {
                counting.forget()
                let answer = try await node.send(.get, request.path, headers: request.headers)
                #expect(answer.status == 200, "\(request.what): \(answer.text)")
                #expect(counting.transactions == request.expected, "\(request.what)")
            }

            counting.forget()
            let refreshed = try await node.refresh(ada.refresh)
            #expect(refreshed.status == 200)
            #expect(counting.transactions == [Self.rotation])
            counting.forget()
            // The same token within the grace period: a client whose answer was lost.
            #expect(try await node.refresh(ada.refresh).status == 200)
            #expect(counting.transactions == [Self.rotation])
        }
    }

    @Test("a login looks once, hashes, and writes once", arguments: TestEngine.allCases)
    func login(engine: TestEngine) async throws {
        try await withCounted(engine) { node, counting in
            _ = try await node.signUp()
            counting.forget()
            _ = try await node.logIn()
            // Counters commit separately, so that a refused login counts too. The password is verified before the
            // transaction that relies on it, which checks again that it is unchanged.
            let first = counting.transactions.map { $0.first ?? "" }
            #expect(
                first == [
                    "throttle.count_request", "throttle.take", "accounts.credentials_by_email", "users.touch_login",
                    "throttle.clear",
                ]
            )
            #expect(counting.transactions.count { $0.contains("sessions.insert_if_password") } == 1)
        }
    }

    @Test("lists are one unit", arguments: TestEngine.allCases)
    func lists(engine: TestEngine) async throws {
        try await withCounted(engine) { node, counting in
            let admin = try await node.makeAdmin()
            for path in [
                "/v1/me/sessions", "/v1/admin/users", "/v1/admin/users?role=admin", "/v1/admin/users?q=a",
                "/v1/admin/sessions", "/v1/admin/users?count=true",
            ] {
                counting.forget()
                let answer = try await node.send(.get, path, token: admin.access)
                #expect(answer.status == 200, "\(path): \(answer.text)")
                // The caller is the first transaction, the data the second.
                #expect(
                    counting.transactions.count == 2 && counting.transactions.first == ["sessions.state"],
                    "\(path): \(counting.transactions)"
                )
            }
        }
    }

    @Test("what services ask about tokens costs a read at most", arguments: TestEngine.allCases)
    func asked(engine: TestEngine) async throws {
        try await withCounted(engine) { node, counting in
            let ada = try await node.signUp()
            let client = try await node.makeClient()
            func introspect(_ token: String) async throws -> [[String]] {
                counting.forget()
                let answer = try await node.form("/oauth2/introspect", [("token", token)], headers: client.basic)
                #expect(answer.json["active"]?.boolean == true, "\(answer.text)")
                return counting.transactions
            }
            // The caller's row is read once in five seconds.
            #expect(try await introspect(ada.refresh) == [["clients.by_id"], ["refresh_tokens.state"]])
            #expect(try await introspect(ada.refresh) == [["refresh_tokens.state"]])
            // While a node does not follow its event log, the session's row decides.
            #expect(try await introspect(ada.access) == [["sessions.state"]])
            counting.forget()
            #expect(try await node.send(.get, "/v1/validate/x", token: ada.access).status == 200)
            #expect(counting.transactions == [["sessions.state"]])
            counting.forget()
            let token = try await node.token([("grant_type", "client_credentials")], headers: client.basic)
            #expect(token.status == 200)
            #expect(counting.transactions == [["clients.by_id"]], "where tokens are made nothing is remembered")
            counting.forget()
            let pair = try await node.token([("grant_type", "refresh_token"), ("refresh_token", ada.refresh)])
            #expect(pair.status == 200)
            #expect(counting.transactions == [Self.rotation])
        }
    }

    @Test("a token that a gateway or a service asks about again costs no unit", arguments: TestEngine.allCases)
    func askedAgain(engine: TestEngine) async throws {
        try await withCounted(engine) { node, _ in
            try await AuthNode.whileFollowing([node]) {
                let ada = try await node.signUp()
                let client = try await node.makeClient()
                let service = try await node.serviceToken(client)
                try await node.eventuallyCurrent()
                func ask() async throws {
                    #expect(try await node.validated(ada.access) == "200")
                    #expect(try await node.isActive(ada.access, to: client) == true)
                    #expect(try await node.isActive(service, to: client) == true)
                }
                try node.forgetTransactions()
                // Without a cache it is the caller's row, once in five seconds.
                try await ask()
                #expect(try node.transactionsOfRequests() == [["clients.by_id"]])
                try node.forgetTransactions()
                for _ in 0..<3 { try await ask() }
                #expect(try node.transactionsOfRequests() == [])
                // A refresh token is one read, and changes of a session check its row.
                #expect(try await node.isActive(ada.refresh, to: client) == true)
                #expect(try await node.me(ada.access).status == 200)
                #expect(
                    try node.transactionsOfRequests() == [
                        ["refresh_tokens.state"], ["sessions.state"], ["users.by_id"],
                    ]
                )
            }
        }
    }

    private func withCounted(
        _ engine: TestEngine,
        _ body: @Sendable @escaping (AuthNode, CountingDatabase) async throws -> Void
    ) async throws {
        try await withConfiguredNode(engine, counting: true) {
            $0.rateLimits = true
            $0.eventFeed.heartbeatMaxLag = .seconds(60)
        } _: { node in
            try await body(node, try #require(node.database as? CountingDatabase))
        }
    }

    private func cookie(_ node: AuthNode) async throws -> String {
        let answer = try await node.send(
            .post,
            "/v1/login?cookie=true",
            Self.credentials,
            headers: [.origin: "https://auth.test"]
        )
        try #require(answer.status == 200, "\(answer.text)")
        return String(try #require(answer.headers[.setCookie]).prefix { $0 != ";" })
    }
}
