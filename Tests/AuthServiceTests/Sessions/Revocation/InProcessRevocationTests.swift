// Tokens judged from memory by a node that reads no row, until it cannot see the log.
//
// The node counts its transactions, which distinguishes a refusal by memory from one by the row.
import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Judging from memory")
struct InProcessRevocationTests {
    /// A busy machine must not cause a look at the row.
    @Sendable static func patient(_ configuration: inout AuthConfiguration) {
        configuration.eventFeed.heartbeatMaxLag = .seconds(60)
    }

    private func withAsked(
        _ engine: TestEngine,
        _ body: @Sendable @escaping (_ revoking: AuthNode, _ asked: AuthNode) async throws -> Void
    ) async throws {
        try await withSeparateNodes(engine, configure: Self.patient, wrap: { $0 == 1 ? CountingDatabase($1) : $1 }) {
            nodes in
            try await AuthNode.whileFollowing([nodes[1]]) { try await body(nodes[0], nodes[1]) }
        }
    }

    @Test("what one node revokes another refuses without a look at any row", arguments: TestEngine.allCases)
    func reaches(engine: TestEngine) async throws {
        try await withAsked(engine) { revoking, asked in
            let admin = try await revoking.makeAdmin()
            let client = try await revoking.makeClient()
            #expect(try await asked.isActive(admin.access, to: client) == true)
            let staying = try await revoking.signUp("staying@example.com")
            let ways: [(what: String, code: String, revoke: (AuthNode.LoggedIn) async throws -> Int)] = [
                (
                    "logout", "session_revoked",
                    { try await revoking.send(.post, "/v1/logout", token: $0.access).status }
                ),
                (
                    "an admin ends the session", "session_revoked",
                    {
                        try await revoking.send(.delete, "/v1/admin/sessions/\($0.sessionID)", token: admin.access)
                            .status
                    }
                ),
                (
                    "a role change", "token_stale",
                    {
                        try await revoking.send(
                            .patch,
                            "/v1/admin/users/\($0.userID)",
                            #"{"role":"premium"}"#,
                            token: admin.access
                        ).status
                    }
                ),
                (
                    "deactivation", "user_inactive",
                    {
                        try await revoking.send(
                            .post,
                            "/v1/admin/users/\($0.userID)/deactivate",
                            token: admin.access
                        ).status
                    }
                ),
                (
                    "deletion", "user_inactive",
                    { try await revoking.send(.delete, "/v1/admin/users/\($0.userID)", token: admin.access).status }
                ),
            ]
            try await asked.eventuallyCurrent()
            for (number, way) in ways.enumerated() {
                let leaving = try await revoking.signUp("leaving\(number)@example.com")
                #expect(try await asked.validated(leaving.access) == "200", "\(way.what)")
                try asked.forgetTransactions()
                let status = try await way.revoke(leaving)
                try #require((200..<300).contains(status), "\(way.what): \(status)")
                try await eventually("the other node refuses after \(way.what)") {
                    try await asked.validated(leaving.access) == way.code
                }
                #expect(try await asked.isActive(leaving.access, to: client) == false, "\(way.what)")
                #expect(try await asked.validated(staying.access) == "200", "\(way.what)")
                #expect(try await asked.isActive(staying.access, to: client) == true, "\(way.what)")
                #expect(try asked.transactionsOfRequests() == [], "\(way.what)")
            }
        }
    }

    @Test("an answered revocation counts in the node's very next answer, forty times", arguments: TestEngine.allCases)
    func atOnce(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            try await AuthNode.whileFollowing([node]) {
                _ = try await node.signUp()
                for round in 0..<40 {
                    let ada = try await node.logIn()
                    #expect(try await node.validated(ada.access) == "200", "round \(round)")
                    #expect(try await node.send(.post, "/v1/logout", token: ada.access).status == 204)
                    #expect(try await node.validated(ada.access) == "session_revoked", "round \(round)")
                }
                try await node.eventuallyCurrent()
            }
        }
    }

    @Test(
        "a node that cannot read the log looks at the rows, and knows afterwards what happened meanwhile",
        arguments: TestEngine.allCases,
        [BlindDatabase.Sight.fails, .hangs]
    )
    func blind(engine: TestEngine, how: BlindDatabase.Sight) async throws {
        try await withSeparateNodes(engine) {
            // How long a hanging read is waited for.
            $0.eventFeed.heartbeatMaxLag = how == .hangs ? .milliseconds(1500) : .seconds(60)
        } wrap: {
            $0 == 1 ? CountingDatabase(BlindDatabase($1)) : $1
        } _: { nodes in
            let (revoking, asked) = (nodes[0], nodes[1])
            let counting = try #require(asked.database as? CountingDatabase)
            let blind = try #require(counting.wrapped as? BlindDatabase)
            try await AuthNode.whileFollowing([asked]) {
                let (before, meanwhile) = (try await revoking.signUp(), try await revoking.signUp("eve@example.com"))
                try await asked.eventuallyCurrent()
                #expect(try await asked.validated(before.access) == "200")
                blind.sight = how
                try await eventually("the node knows that it is blind") { !asked.service.following.isCurrent }
                #expect(blind.blindReads > 0)
                #expect(try await revoking.send(.post, "/v1/logout", token: meanwhile.access).status == 204)
                try asked.forgetTransactions()
                // The row is right at once: nothing has to arrive.
                #expect(try await asked.validated(meanwhile.access) == "session_revoked")
                #expect(try await asked.validated(before.access) == "200")
                #expect(try asked.transactionsOfRequests() == [["sessions.state"], ["sessions.state"]])

                blind.sight = .clear
                try await eventually("it judges both from memory") {
                    try asked.forgetTransactions()
                    #expect(try await asked.validated(meanwhile.access) == "session_revoked")
                    #expect(try await asked.validated(before.access) == "200")
                    return try asked.transactionsOfRequests() == []
                }
            }
        }
    }

    @Test("a node that starts knows what was revoked before it says that it is ready", arguments: TestEngine.allCases)
    func start(engine: TestEngine) async throws {
        try await withSeparateNodes(
            engine,
            configure: Self.patient,
            wrap: { $0 == 1 ? CountingDatabase(BlindDatabase($1)) : $1 }
        ) { nodes in
            let (revoking, starting) = (nodes[0], nodes[1])
            let counting = try #require(starting.database as? CountingDatabase)
            let blind = try #require(counting.wrapped as? BlindDatabase)
            let (leaving, staying) = (try await revoking.signUp(), try await revoking.signUp("eve@example.com"))
            #expect(try await revoking.send(.post, "/v1/logout", token: leaving.access).status == 204)
            // More events than one read returns.
            try await revoking.makeEvents(1500, kind: "user.updated")
            blind.sight = .hangs
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await starting.service.following.run() }
                defer { group.cancelAll() }
                try await eventually("it begins to read") { blind.blindReads > 0 }
                let early = try await starting.send(.get, "/readyz")
                #expect(early.status == 503 && early.code == "revocations_unavailable", "\(early.text)")
                #expect(early.headers[.retryAfter] != nil)
                blind.sight = .clear
                try await eventually("it is ready") { try await starting.send(.get, "/readyz").status == 200 }
                try await starting.eventuallyCurrent()
                try starting.forgetTransactions()
                #expect(try await starting.validated(leaving.access) == "session_revoked")
                #expect(try await starting.validated(staying.access) == "200")
                #expect(try starting.transactionsOfRequests() == [])
            }
            // A node that stops following does not judge by its last state.
            #expect(try await revoking.send(.post, "/v1/logout", token: staying.access).status == 204)
            #expect(try await starting.validated(staying.access) == "session_revoked")
            #expect(try starting.transactionsOfRequests() == [["sessions.state"]])
        }
    }

    @Test(
        "a database that was restored ends every token, and the node follows the new epoch",
        arguments: TestEngine.allCases
    )
    func epoch(engine: TestEngine) async throws {
        try await withAsked(engine) { revoking, asked in
            let ada = try await revoking.signUp()
            #expect(try await asked.validated(ada.access) == "200")
            _ = try await revoking.service.recovery.begin(after: .inPlace)
            try await eventually("tokens of before are refused") {
                try await asked.validated(ada.access) == "session_revoked"
            }
            try await asked.eventuallyCurrent()
            let again = try await revoking.logIn()
            try asked.forgetTransactions()
            #expect(try await asked.validated(again.access) == "200")
            #expect(try await asked.validated(ada.access) == "session_revoked")
            #expect(try asked.transactionsOfRequests() == [])
        }
    }

    @Test("a remembered token still ends, and one older than memory is looked up", arguments: TestEngine.allCases)
    func times(engine: TestEngine) async throws {
        try await withAsked(engine) { revoking, asked in
            let client = try await revoking.makeClient()
            let ada = try await revoking.signUp()
            try await asked.eventuallyCurrent()
            #expect(try await asked.validated(ada.access) == "200")
            // It lives for a day, longer than revocations are remembered.
            let old = try await revoking.serviceToken("events")
            #expect(try await asked.isActive(old, to: client) == true)
            asked.clock.advance(.seconds(601))
            #expect(try await asked.validated(ada.access) == "token_expired")
            #expect(try await asked.isActive(ada.access, to: client) == false)
            asked.clock.advance(.seconds(301))
            #expect(try await asked.isActive(old, to: client) == true, "the caller's row is read, and this one's")
            try asked.forgetTransactions()
            #expect(try await asked.isActive(old, to: client) == true)
            #expect(try asked.transactionsOfRequests() == [["clients.by_id"]])
            _ = try await revoking.service.clients.delete("test", actor: nil, from: .commandLine)
            #expect(try await asked.isActive(old, to: client) == false)
        }
    }

    @Test("a key that is retired as compromised ends remembered tokens on another node", arguments: TestEngine.allCases)
    func keys(engine: TestEngine) async throws {
        try await withAsked(engine) { revoking, asked in
            let ada = try await revoking.signUp()
            #expect(try await asked.validated(ada.access) == "200")
            let current = try #require(try await revoking.service.keys.list().first { $0.state == "current" })
            try await revoking.service.keys.retire(current.kid, compromised: true)
            // No key maintenance runs here, so only the event can be the cause.
            try await eventually("the other node refuses its tokens") {
                try await asked.validated(ada.access) == "token_invalid"
            }
            #expect(try await asked.me(ada.access).code == "token_invalid")
            let fresh = try await asked.logIn()
            #expect(try JWS.parse(fresh.access).header.kid != current.kid, "nor does it sign with the key")
            #expect(try await asked.validated(fresh.access) == "200")
        }
    }
}
