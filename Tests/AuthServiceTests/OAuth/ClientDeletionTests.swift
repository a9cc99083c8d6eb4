// A client that is deleted, or that loses a scope or an audience: what of it ends, and what stays.
import AuthService
import HTTPTypes
import HummingbirdTesting
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("What a client loses")
struct ClientDeletionTests {
    /// Gives the client a refresh token of a user, as a sign-in through it would.
    private func refreshToken(
        of client: String,
        _ email: String = "ada@example.com",
        at node: AuthNode
    ) async throws -> AuthNode.LoggedIn {
        let user = try await node.signUp(email)
        let moved = try await node.execute(
            "UPDATE refresh_tokens SET client_id = :client WHERE user_id = :user",
            ["client": client, "user": user.userID]
        )
        #expect(moved == 1)
        return user
    }

    private func update(
        _ node: AuthNode,
        scopes: [RequestText]? = nil,
        audiences: [RequestText]? = nil
    ) async throws {
        var change = ClientChange()
        change.scopes = scopes
        change.audiences = audiences
        _ = try await node.service.clients.update("worker", change, actor: nil, from: .commandLine)
    }

    private func events(_ node: AuthNode) async throws -> Int {
        try await node.count("events WHERE kind = 'client.tokens_revoked'")
    }

    @Test(
        "a deleted client leaves a row without credentials, and its refresh tokens and the event go with it",
        arguments: TestEngine.allCases
    )
    func deletion(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, counting: true) { node in
            let counting = try #require(node.database as? CountingDatabase)
            let client = try await node.makeClient()
            _ = try await node.service.clients.rotateSecret(of: client.id, actor: nil, from: .commandLine)
            _ = try await refreshToken(of: client.id, at: node)
            let first = try await node.signUp("bob@example.com")
            counting.forget()
            try await node.service.clients.delete(client.id, actor: nil, from: .commandLine)
            #expect(
                counting.transactions == [
                    ["clients.by_id"],
                    [
                        "clients.replace", "events.client_changed", "refresh_tokens.delete_of_client",
                        "audit.append_if_client",
                    ],
                ]
            )
            let row = try #require(try await node.query("SELECT * FROM clients WHERE id = 'worker'").first)
            #expect(try row.optionalInstant("deleted_at") != nil && row.optionalInstant("disabled_at") != nil)
            let end = try #require(try row.optionalInstant("tokens_valid_from"))
            #expect(try row.optionalBytes("secret_hash") == nil && row.optionalBytes("previous_secret_hash") == nil)
            #expect(try row.optionalText("jwks") == nil && row.optionalInstant("secret_created_at") == nil)
            let data = try await node.query("SELECT data FROM events WHERE kind = 'client.tokens_revoked'")
            #expect(
                try data.map { try $0.text("data") } == [
                    #"{"client_id":"worker","issued_before":\#(end.seconds)}"#
                ]
            )
            #expect(try await node.count("refresh_tokens") == 1, "the first party's stays")
            #expect(try await node.refresh(first.refresh).status == 200)

            #expect(try await node.service.clients.find("worker") == nil)
            #expect(try await node.service.clients.list().isEmpty)
            let answer = try await node.token([("grant_type", "client_credentials")], headers: client.basic)
            #expect(answer.error == "invalid_client")
        }
    }

    @Test(
        "who is made again under the id of a deleted client has none of its tokens and gets new ones at once",
        arguments: TestEngine.allCases
    )
    func again(engine: TestEngine) async throws {
        try await withSeparateNodes(engine, configure: InProcessRevocationTests.patient) { nodes in
            let (rows, memory) = (nodes[0], nodes[1])
            let judge = try await rows.makeClient("judge")
            let old = try await rows.makeClient()
            let early = try await rows.serviceToken(old)
            try await AuthNode.whileFollowing([memory]) {
                func verdicts(_ token: String) async throws -> [Bool?] {
                    [
                        try await rows.isActive(token, to: judge), try await memory.isActive(token, to: judge),
                        try await rows.feed(token: token).status == 200,
                    ]
                }
                #expect(try await verdicts(early) == [true, true, true])
                for round in 1...3 {
                    try await rows.service.clients.delete("worker", actor: nil, from: .commandLine)
                    // In the same second: a token of the client between two deletions ends as well.
                    let new = try await rows.makeClient()
                    let between = try await rows.serviceToken(new)
                    try await rows.service.clients.delete("worker", actor: nil, from: .commandLine)
                    let newest = try await rows.makeClient()
                    // A node that just looked at the rows may judge by an older read of the log for a moment.
                    try await eventually("each node refuses both") {
                        let seen = try await verdicts(early) + verdicts(between)
                        return seen == Array(repeating: false, count: 6)
                    }
                    let asked = try await rows.token([("grant_type", "client_credentials")], headers: old.basic)
                    #expect(asked.error == "invalid_client", "the secret ended too")
                    // Its date is ahead of the clock, by less than verifiers allow.
                    rows.clock.advance(.seconds(2))
                    let seen = try await verdicts(try await rows.serviceToken(newest))
                    #expect(seen == [true, true, true], "\(round)")
                    rows.clock.advance(.seconds(60))
                }
            }
        }
    }

    @Test(
        "a client that loses a scope or an audience loses its tokens; one that gets more or the same keeps them",
        arguments: TestEngine.allCases
    )
    func less(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient(audiences: ["tessera", "billing"])
            let token = try await node.serviceToken(client)
            let ada = try await refreshToken(of: client.id, at: node)
            try await update(node, scopes: ["introspect", "events"])
            try await update(
                node,
                scopes: ["events", "introspect", "more"],
                audiences: ["billing", "tessera", "chat"]
            )
            #expect(try await events(node) == 0)
            #expect(try await node.feed(token: token).status == 200)
            #expect(try await node.count("refresh_tokens WHERE client_id = 'worker'") == 1)

            try await update(node, scopes: ["events", "more"])
            #expect(try await events(node) == 1)
            #expect(try await node.feed(token: token).status == 401)
            #expect(try await node.count("refresh_tokens WHERE client_id = 'worker'") == 0)
            let refreshed = try await node.token(
                [("grant_type", "refresh_token"), ("refresh_token", ada.refresh)],
                headers: client.basic
            )
            #expect(refreshed.error == "invalid_grant", "\(refreshed.text)")
            node.clock.advance(.seconds(1))
            let narrower = try await node.serviceToken(client)
            #expect(try await node.feed(token: narrower).status == 200, "the client goes on at once")

            try await update(node, audiences: ["tessera", "chat"])
            #expect(try await events(node) == 2)
            #expect(try await node.feed(token: narrower).status == 401)
            try await update(node, audiences: ["tessera", "chat", "billing"])
            #expect(try await events(node) == 2)
        }
    }

    @Test("a user's token that a client was given ends with the client's", arguments: TestEngine.allCases)
    func usersToken(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient()
            let ada = try await refreshToken(of: client.id, at: node)
            let answer = try await node.token(
                [("grant_type", "refresh_token"), ("refresh_token", ada.refresh)],
                headers: client.basic
            )
            let token = try #require(answer.json["access_token"]?.string, "\(answer.text)")
            #expect(try await node.me(token).status == 200)
            #expect(try await node.me(ada.access).status == 200)
            try await update(node, scopes: ["events"])
            #expect(try await node.me(token).status == 401)
            #expect(try await node.me(ada.access).status == 200, "the first party's own token stays")
        }
    }

    @Test(
        "a stream whose token ended between its check and the first read ends at the event",
        arguments: TestEngine.allCases
    )
    func streamRace(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true, counting: true) { node in
            let counting = try #require(node.database as? CountingDatabase)
            let ada = try await node.signUp()
            let token = try await node.serviceToken(try await node.makeClient())
            // The log's edges are the first that the stream reads.
            counting.interrupt(before: "events.state") {
                try? await node.service.clients.delete("worker", actor: nil, from: .commandLine)
            }
            let stream = try EventStreamReader(port: try #require(node.client.port), token: token)
            try await eventually("it ends") { stream.hasEnded }
            try await node.revokeAll(of: ada.userID)
            #expect(stream.received.map(\.name) == ["user.created", "client.tokens_revoked"])
        }
    }

    @Test(
        "a change beside another is made of what the other left, and each audit row begins where the last one ended",
        arguments: TestEngine.allCases
    )
    func audit(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, counting: true) { node in
            let client = try await node.makeClient()
            let secret = try await node.service.clients.rotateSecret(of: client.id, actor: nil, from: .commandLine)
            let counting = try #require(node.database as? CountingDatabase)
            counting.interrupt(before: "clients.replace") {
                try? await self.update(node, scopes: ["introspect"])
            }
            var rename = ClientChange()
            rename.name = "Other"
            let renamed = try await node.service.clients.update("worker", rename, actor: nil, from: .commandLine)
            #expect(renamed.name == "Other" && renamed.scopes == ["introspect"], "neither change was lost")
            try await node.service.clients.delete("worker", actor: nil, from: .commandLine)
            let rows = try await node.query(
                "SELECT action, details FROM audit_log WHERE target = 'worker' ORDER BY seq"
            )
            #expect(
                try rows.map { try $0.text("action") } == [
                    "client.create", "client.rotate_secret", "client.update", "client.update", "client.delete",
                ]
            )
            let details = try rows.map { AnswerJSON(element: try JSONElement.parse($0.text("details"))) }
            #expect(details.first?["before"]?.isNull == true && details.last?["after"]?.isNull == true)
            for (one, next) in zip(details.dropFirst(), details.dropFirst(2)) {
                #expect(one["after"]?.raw == next["before"]?.raw)
            }
            #expect(details[2]["before"]?["scopes"]?.raw == #"["events","introspect"]"#)
            #expect(details[2]["after"]?["scopes"]?.raw == #"["introspect"]"#)
            #expect(details[2]["after"]?["tokens_valid_from"]?.string != nil)
            #expect(details[3]["after"]?["name"]?.string == "Other")
            let text = try rows.map { try $0.text("details") }.joined()
            for known in [client.secret, secret.secret?.text ?? "", "tcs_", "hash"] {
                #expect(!text.contains(known), "\(text)")
            }
        }
    }
}
