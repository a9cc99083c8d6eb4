// A client that is disabled or removed: the event, its tokens, and how long another node still accepts the client.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("The end of a client")
struct ClientEndTests {
    private func disable(_ id: String, _ isDisabled: Bool = true, at node: AuthNode) async throws {
        var change = ClientChange()
        change.isDisabled = isDisabled
        _ = try await node.service.clients.update(id, change, actor: nil, from: .commandLine)
    }

    private func clientEvents(_ node: AuthNode) async throws -> [String] {
        try await node.query("SELECT data FROM events WHERE kind = 'client.tokens_revoked' ORDER BY seq").map {
            try $0.text("data")
        }
    }

    @Test("one event tells of it, and only of what really ended", arguments: TestEngine.allCases)
    func event(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            var rename = ClientChange()
            rename.name = "Other"
            _ = try await node.service.clients.update(client.id, rename, actor: nil, from: .commandLine)
            try await disable(client.id, false, at: node)
            #expect(try await clientEvents(node) == [])
            let second = node.clock.now.seconds
            try await disable(client.id, at: node)
            let data = #"{"client_id":"worker","issued_before":\#(second + 31)}"#
            #expect(try await clientEvents(node) == [data])
            try await disable(client.id, at: node)
            try await disable(client.id, false, at: node)
            #expect(try await clientEvents(node) == [data], "disabled once")
            try await node.service.clients.delete(client.id, actor: nil, from: .commandLine)
            // Later than the first, though in the same second: a token of the time between ends too.
            let last = #"{"client_id":"worker","issued_before":\#(second + 32)}"#
            #expect(try await clientEvents(node) == [data, last])
            await #expect(throws: ClientError.self) {
                try await node.service.clients.delete(client.id, actor: nil, from: .commandLine)
            }
            #expect(try await clientEvents(node).count == 2)
        }
    }

    @Test("its tokens are refused by another node, which no longer lets it ask either", arguments: TestEngine.allCases)
    func everywhere(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, configure: InProcessRevocationTests.patient) { nodes in
            let (here, there) = (nodes[0], nodes[1])
            try await AuthNode.whileFollowing([there]) {
                let judge = try await here.makeClient("judge")
                for (id, ends) in [("disabled", false), ("removed", true)] {
                    let client = try await here.makeClient(id)
                    let token = try await here.serviceToken(client)
                    #expect(try await there.isActive(token, to: judge) == true)
                    #expect(try await there.isActive(token, to: client) == true)
                    if ends {
                        try await here.service.clients.delete(id, actor: nil, from: .commandLine)
                    } else {
                        try await disable(id, at: here)
                    }
                    // The clock stands still, so a cache of five seconds lasts for ever.
                    try await eventually("its token is inactive there") {
                        try await there.isActive(token, to: judge) == false
                    }
                    let asking = try await there.form("/oauth2/introspect", [("token", token)], headers: client.basic)
                    #expect(asking.error == "invalid_client", "\(asking.text)")
                }
                try await disable("disabled", false, at: here)
                here.clock.advance(.seconds(1))
                let again = TestClient(id: "disabled", secret: try await secret(of: "disabled", at: here))
                #expect(try await there.isActive(try await here.serviceToken(again), to: judge) == true)
            }
        }
    }

    @Test(
        "a token from before a disabling stays refused after the enabling, by the rows as from memory, by auth as by others",
        arguments: TestEngine.allCases
    )
    func takenBack(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, configure: InProcessRevocationTests.patient) { nodes in
            let (rows, memory) = (nodes[0], nodes[1])
            let client = try await rows.makeClient("taken-back")
            let judge = try await rows.makeClient("judge")
            let early = try await rows.serviceToken(client)
            try await AuthNode.whileFollowing([memory]) {
                /// By each way to judge: the rows, memory, and auth itself.
                func verdicts(_ token: String) async throws -> [Bool?] {
                    #expect(!rows.service.following.isCurrent)
                    try await memory.eventuallyCurrent()
                    return [
                        try await rows.isActive(token, to: judge), try await memory.isActive(token, to: judge),
                        try await rows.feed(token: token).status == 200,
                    ]
                }
                #expect(try await verdicts(early) == [true, true, true])
                try await disable(client.id, at: rows)
                try await eventually("each refuses") { try await verdicts(early) == [false, false, false] }
                try await disable(client.id, false, at: rows)
                #expect(try await verdicts(early) == [false, false, false])
                let refused = try await rows.feed(token: early)
                #expect(refused.status == 401, "\(refused.text)")

                // For half a minute a fast clock could have dated an old token so. A new one is dated behind that.
                rows.clock.advance(.seconds(1))
                let fresh = try await rows.serviceToken(client)
                #expect(try await verdicts(fresh) == [true, true, true])
                #expect(try await verdicts(early) == [false, false, false])

                // Disabling twice counts once; a later disabling covers the new token too.
                try await disable(client.id, false, at: rows)
                #expect(try await verdicts(fresh) == [true, true, true])
                try await disable(client.id, at: rows)
                try await disable(client.id, false, at: rows)
                try await eventually("each refuses") { try await verdicts(fresh) == [false, false, false] }
                // A later change does not affect tokens.
                var rename = ClientChange()
                rename.name = "Other"
                _ = try await rows.service.clients.update(client.id, rename, actor: nil, from: .commandLine)
                let secret = try await secret(of: client.id, at: rows)
                #expect(try await verdicts(fresh) == [false, false, false])
                rows.clock.advance(.seconds(2))
                let last = try await rows.serviceToken(TestClient(id: client.id, secret: secret))
                #expect(try await verdicts(last) == [true, true, true])
            }
        }
    }

    private func secret(of id: String, at node: AuthNode) async throws -> String {
        let made = try await node.service.clients.rotateSecret(of: id, overlap: .zero, actor: nil, from: .commandLine)
        return try #require(made.secret).text
    }

    @Test(
        "a secret that was rotated out asks for five seconds more at other nodes, and not at all where it was rotated",
        arguments: TestEngine.allCases
    )
    func rotated(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            let (here, there) = (nodes[0], nodes[1])
            try await AuthNode.whileFollowing(nodes) {
                let client = try await here.makeClient()
                let ada = try await here.signUp()
                for node in nodes { #expect(try await node.isActive(ada.access, to: client) == true) }
                _ = try await secret(of: client.id, at: here)
                #expect(try await here.isActive(ada.access, to: client) == nil)
                #expect(
                    try await there.isActive(ada.access, to: client) == true,
                    "the bound that is promised is five seconds"
                )
                there.clock.advance(.milliseconds(5001))
                #expect(try await there.isActive(ada.access, to: client) == nil)
            }
        }
    }

    @Test("a secret before the current one is good up to its end, remembered or not", arguments: TestEngine.allCases)
    func overlap(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await node.signUp()
            _ = try await node.service.clients.rotateSecret(
                of: client.id,
                overlap: .seconds(2),
                actor: nil,
                from: .commandLine
            )
            #expect(try await node.isActive(ada.access, to: client) == true)
            #expect(try await node.isActive(ada.access, to: client) == true)
            node.clock.advance(.seconds(2))
            #expect(try await node.isActive(ada.access, to: client) == nil)
        }
    }

    @Test("what is remembered of a caller is the whole header, and nothing beside it", arguments: TestEngine.allCases)
    func credentials(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let other = try await node.makeClient("other")
            let ada = try await node.signUp()
            let good = try #require(client.basic[.authorization])
            #expect(try await node.isActive(ada.access, to: client) == true)
            var two = client.basic
            two.append(HTTPField(name: .authorization, value: good))
            for (headers, more) in [
                ([.authorization: String(good.dropLast(4))], []), (two, []), (client.basic, [("client_id", "other")]),
                (client.basic, [("client_secret", other.secret)]),
                ([.authorization: good + "A"], []), ([.authorization: "Bearer " + good.dropFirst(6)], []),
            ] as [(HTTPFields, [(String, String)])] {
                let answer = try await node.form("/oauth2/introspect", [("token", ada.access)] + more, headers: headers)
                #expect(answer.status == 401 || answer.status == 400, "\(headers) \(more): \(answer.text)")
            }
            #expect(try await node.isActive(ada.access, to: client) == true)
        }
    }
}
