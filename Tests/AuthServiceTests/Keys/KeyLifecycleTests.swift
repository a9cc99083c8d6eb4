// The life of a signing key: published, signing, published until its tokens expire, gone. Exceptions are a manual
// rotation and a compromised key.
import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("The life of keys")
struct KeyLifecycleTests {
    private func states(_ node: AuthNode) async throws -> [String: String] {
        let keys = try await node.service.keys.list()
        return Dictionary(keys.map { ($0.kid, $0.state) }, uniquingKeysWith: { first, _ in first })
    }

    private func kid(_ state: String, _ node: AuthNode) async throws -> String {
        try #require(try await states(node).first { $0.value == state }).key
    }

    private func published(_ node: AuthNode) async throws -> Set<String> {
        let keys = try await node.send(.get, "/.well-known/jwks.json").json["keys"]?.array
        return Set(try #require(keys).compactMap { $0["kid"]?.string })
    }

    private func signer(of token: String) throws -> String? { try JWS.parse(token).header.kid }

    @Test(
        "a key rotates by itself when it is due, and no good token is refused meanwhile",
        arguments: TestEngine.allCases
    )
    func automatic(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let keys = node.service.keys
            let (first, second) = (try await kid("current", node), try await kid("next", node))
            #expect(try await published(node) == [first, second])
            node.clock.advance(.seconds(30 * 86_400 - 3600))
            try await keys.maintain()
            #expect(try await kid("current", node) == first, "not due yet")
            node.clock.advance(.seconds(3600))
            let before = try await node.signUp().access
            try await keys.maintain()
            let third = try await kid("next", node)
            #expect(try await states(node) == [first: "previous", second: "current", third: "next"])
            #expect(try await published(node) == [first, second, third])
            let after = try await node.logIn().access
            #expect(try signer(of: before) == first && signer(of: after) == second)
            #expect(try await node.me(before).status == 200)
            #expect(try await node.count("events WHERE kind = 'keys.rotated'") == 1)

            // The last token that it signed lives at least ten minutes less 5 %; a minute after the ten the key is
            // unneeded.
            node.clock.advance(.seconds(569))
            try await keys.maintain()
            #expect(try await node.me(before).status == 200)
            #expect(try await published(node).contains(first))
            node.clock.advance(.seconds(92))
            try await keys.maintain()
            #expect(try await states(node)[first] == "retired")
            #expect(try await published(node) == [second, third])
            #expect(try await node.me(node.logIn().access).status == 200)
        }
    }

    @Test("no key signs before it was published for fifteen minutes", arguments: TestEngine.allCases)
    func publishedAhead(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            // Both first keys were published together, so a verifier that knows one knows the other.
            #expect(try await node.send(.post, "/v1/admin/keys/rotate", token: admin.access).status == 200)
            let (current, next) = (try await kid("current", node), try await kid("next", node))
            node.clock.advance(.seconds(15 * 60 - 1))
            let fresh = try await node.logIn("root@example.com")
            let early = try await node.send(.post, "/v1/admin/keys/rotate", token: fresh.access)
            #expect(early.status == 409 && early.code == "conflict", "\(early.text)")
            #expect(try await kid("current", node) == current)
            node.clock.advance(.seconds(2))
            #expect(try await node.send(.post, "/v1/admin/keys/rotate", token: fresh.access).status == 200)
            #expect(try await kid("current", node) == next)
        }
    }

    @Test("a compromised key stops signing and its tokens are refused, on every node", arguments: TestEngine.allCases)
    func compromised(engine: TestEngine) async throws {
        try await withNodes(engine, [NodeOptions(), NodeOptions()]) { nodes in
            let (here, there) = (nodes[0], nodes[1])
            let ada = try await here.signUp()
            let (current, next) = (try await kid("current", here), try await kid("next", here))
            await #expect(throws: SigningKeyError.self, "a current key is rotated, unless it has leaked") {
                try await here.service.keys.retire(current, compromised: false)
            }
            #expect(try await here.me(ada.access).status == 200)

            try await here.service.keys.retire(current, compromised: true)
            try await there.service.keys.maintain()
            for node in nodes {
                #expect(try await node.me(ada.access).code == "token_invalid")
                #expect(try await published(node).contains(current) == false)
                let client = try await node.makeClient(node.service.keys === here.service.keys ? "here" : "there")
                let received = try await node.form("/oauth2/introspect", [("token", ada.access)], headers: client.basic)
                #expect(received.json["active"]?.boolean == false)
            }
            #expect(try await states(here)[current] == "retired")
            #expect(try await kid("current", here) == next, "ready or not")
            let event = try await here.query("SELECT data FROM events WHERE kind = 'keys.revoked'")
            #expect(try event.map { try $0.text("data") } == [#"{"kid":"\#(current)"}"#])
            // Sessions continue: a refresh returns a token of the new key, valid on both nodes.
            let refreshed = try #require(try await here.refresh(ada.refresh).json["access_token"]?.string)
            #expect(try signer(of: refreshed) == next)
            #expect(try await there.me(refreshed).status == 200)
        }
    }

    @Test("the next key takes a compromised one's place in the unit that retires it", arguments: TestEngine.allCases)
    func compromisedAtOnce(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, counting: true) { node in
            let counting = try #require(node.database as? CountingDatabase)
            let (current, next) = (try await kid("current", node), try await kid("next", node))
            counting.forget()
            try await node.service.keys.retire(current, compromised: true)
            let writing = counting.transactions.filter {
                $0.contains { $0.hasPrefix("signing_keys.") && $0 != "signing_keys.published" }
            }
            #expect(
                writing == [
                    ["signing_keys.everything"],
                    [
                        "signing_keys.demote_current", "signing_keys.promote_next",
                        "signing_keys.insert_next_after_promotion", "events.about_key", "audit.append_if_key",
                        "signing_keys.retire", "events.about_key", "audit.append_if_key",
                    ],
                ]
            )
            let states = try await states(node)
            #expect(states[current] == "retired" && states[next] == "current")
            #expect(states.values.filter { $0 == "next" }.count == 1 && states.count == 3)
            let received = try await node.query("SELECT kind, data FROM events WHERE kind LIKE 'keys.%' ORDER BY seq")
            #expect(
                try received.map { try $0.text("kind") + $0.text("data") } == [
                    #"keys.rotated{"kid":"\#(next)"}"#, #"keys.revoked{"kid":"\#(current)"}"#,
                ]
            )
        }
    }

    @Test("maintenance reads once and writes nothing while nothing is due", arguments: TestEngine.allCases)
    func quiet(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, counting: true) { node in
            let counting = try #require(node.database as? CountingDatabase)
            counting.forget()
            for _ in 0..<3 { try await node.service.keys.maintain() }
            #expect(counting.transactions == Array(repeating: ["signing_keys.published"], count: 3))
        }
    }

    @Test("the key set and the metadata are cached by their tags, until a key changes", arguments: TestEngine.allCases)
    func caching(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration"] {
                let answer = try await node.send(.get, path)
                #expect(answer.headers[.cacheControl] == "public, max-age=300")
                let tag = try #require(answer.headers[.eTag])
                for known in [tag, "W/\(tag)", #""other", \#(tag)"#, "*"] {
                    let same = try await node.send(.get, path, headers: [.ifNoneMatch: known])
                    #expect(same.status == 304 && same.text.isEmpty, "\(path) \(known)")
                    #expect(same.headers[.eTag] == tag && same.headers[.cacheControl] == "public, max-age=300")
                }
                #expect(try await node.send(.get, path, headers: [.ifNoneMatch: #""other""#]).status == 200)
            }
            let before = try await node.send(.get, "/.well-known/jwks.json").headers[.eTag]
            try await node.service.keys.rotate()
            let after = try await node.send(
                .get,
                "/.well-known/jwks.json",
                headers: [.ifNoneMatch: try #require(before)]
            )
            #expect(after.status == 200 && after.headers[.eTag] != before)
            let text = after.text
            for secret in [#""d":"#, #""p":"#, #""q":"#, #""k":"#] { #expect(!text.contains(secret)) }
        }
    }

    @Test("the metadata is true: every endpoint that it names answers", arguments: TestEngine.allCases)
    func discovery(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(algorithm: .eddsa)) { node in
            let openID = try await node.send(.get, "/.well-known/openid-configuration")
            let oauth = try await node.send(.get, "/.well-known/oauth-authorization-server")
            #expect(openID.text == oauth.text)
            let metadata = openID.json
            #expect(metadata["issuer"]?.string == "https://auth.test")
            #expect(metadata["id_token_signing_alg_values_supported"]?.array?.compactMap(\.string) == ["EdDSA"])
            let client = try await node.makeClient()
            var endpoints = 0
            for name in metadata.names where name.hasSuffix("_endpoint") || name == "jwks_uri" {
                let url = try #require(metadata[name]?.string)
                let path = try #require(url.wholeMatch(of: /https:\/\/auth\.test(\/.+)/)?.1)
                let answer =
                    name == "jwks_uri"
                    ? try await node.send(.get, String(path))
                    : try await node.form(
                        String(path),
                        [("grant_type", "client_credentials"), ("token", "x")],
                        headers: client.basic
                    )
                #expect(answer.status == 200, "\(name): \(answer.text)")
                endpoints += 1
            }
            #expect(endpoints == 4)
            let grants = metadata["grant_types_supported"]?.array?.compactMap(\.string) ?? []
            #expect(grants == ["client_credentials", "refresh_token"])
            for grant in grants {
                let answer = try await node.token([("grant_type", grant)], headers: client.basic)
                #expect(answer.error != "unsupported_grant_type", "\(grant)")
            }
        }
    }
}
