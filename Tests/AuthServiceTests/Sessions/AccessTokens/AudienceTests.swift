// One audience a service: a sign-in, a refresh and a client's grant may ask for tokens of one audience, and a session
// never gets a token for an audience that its sign-in did not choose.
import AuthService
import Foundation
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Audiences of access tokens")
struct AudienceTests {
    private static let credentials = #""email":"ada@example.com","password":"\#(AuthNode.password)""#

    private func audiences(_ answer: AuthNode.Answer) throws -> [String] {
        let token = try #require(answer.json["access_token"]?.string, "\(answer.text)")
        let claims = try JSONElement.parse(try JWS.parse(token).payload)
        return try #require(claims["aud"]?.array).compactMap(\.string)
    }

    private func refresh(_ node: AuthNode, _ token: String?, _ more: String = "") async throws -> AuthNode.Answer {
        try await node.send(.post, "/v1/token/refresh", #"{"refresh_token":"\#(token ?? "")"\#(more)}"#)
    }

    @Test("without one, every token is for all audiences of the configuration", arguments: TestEngine.allCases)
    func all(engine: TestEngine) async throws {
        try await withConfiguredNode(engine) {
            $0.audiences = ["tessera", "chat", "billing"]
        } _: { node in
            let signup = try await node.send(.post, "/v1/signup", "{\(Self.credentials)}")
            #expect(try audiences(signup) == ["tessera", "chat", "billing"])
            #expect(signup.json["session"]?["audience"]?.isNull == true)
            #expect(try audiences(await refresh(node, signup.json["refresh_token"]?.string)).count == 3)
        }
    }

    @Test("a refresh narrows its own token, and the next one may have another audience", arguments: TestEngine.allCases)
    func narrow(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let chat = try await refresh(node, ada.refresh, #","audience":"chat""#)
            #expect(try audiences(chat) == ["chat"])
            let token = try #require(chat.json["access_token"]?.string)
            #expect(try await node.me(token).code == "token_invalid", "auth is another service")
            let auth = try await node.token([
                ("grant_type", "refresh_token"), ("refresh_token", chat.json["refresh_token"]?.string ?? ""),
                ("audience", "tessera"),
            ])
            #expect(try audiences(auth) == ["tessera"])
            let both = try await refresh(node, auth.json["refresh_token"]?.string)
            #expect(try audiences(both) == ["tessera", "chat"], "the sign-in chose all")
        }
    }

    @Test(
        "a session that was opened for one audience never gets another, and asking for it costs nothing",
        arguments: TestEngine.allCases,
        ["login", "signup"]
    )
    func never(engine: TestEngine, door: String) async throws {
        try await withNode(engine) { node in
            if door == "login" { _ = try await node.signUp() }
            let opened = try await node.send(.post, "/v1/\(door)", #"{\#(Self.credentials),"audience":"chat"}"#)
            #expect(try audiences(opened) == ["chat"] && opened.json["session"]?["audience"]?.string == "chat")
            let token = try #require(opened.json["refresh_token"]?.string)
            let before = try await node.query("SELECT generation, rotated_at FROM refresh_tokens ORDER BY id")
            for _ in 0..<3 {
                let wider = try await refresh(node, token, #","audience":"tessera""#)
                #expect(wider.status == 400 && wider.code == "validation_failed", "\(wider.text)")
                #expect(wider.json["errors"]?.array?.first?["field"]?.string == "audience")
                let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("audience", "tessera")]
                #expect(try await node.token(form).error == "invalid_target")
                // Beyond the grace: a rotation would have made the token an old one, and its next use a theft.
                node.clock.advance(.seconds(20))
            }
            let after = try await node.query("SELECT generation, rotated_at FROM refresh_tokens ORDER BY id")
            #expect(after.map(\.values) == before.map(\.values))
            let same = try await refresh(node, token)
            #expect(try audiences(same) == ["chat"], "without one it stays narrow")
            let named = try await refresh(node, same.json["refresh_token"]?.string, #","audience":"chat""#)
            #expect(try audiences(named) == ["chat"])
            // A stolen token is found out, whatever it asks for.
            let stolen = try await refresh(node, token, #","audience":"tessera""#)
            #expect(stolen.code == "refresh_token_reused", "\(stolen.text)")
        }
    }

    @Test("a cookie's session is narrowed by its sign-in and by each request", arguments: TestEngine.allCases)
    func cookie(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp()
            func open(_ more: String) async throws -> HTTPFields {
                let answer = try await node.send(
                    .post,
                    "/v1/login?cookie=true",
                    "{\(Self.credentials)\(more)}",
                    headers: [.origin: "https://auth.test"]
                )
                let pair = try #require(answer.headers[.setCookie]?.split(separator: ";").first)
                return [.cookie: String(pair)]
            }
            let wide = try await open("")
            #expect(try audiences(await node.send(.get, "/v1/session", headers: wide)) == ["tessera", "chat"])
            #expect(try audiences(await node.send(.get, "/v1/session?audience=chat", headers: wide)) == ["chat"])
            let narrow = try await open(#","audience":"chat""#)
            #expect(try audiences(await node.send(.get, "/v1/session", headers: narrow)) == ["chat"])
            for query in ["tessera", "none"] {
                let answer = try await node.send(.get, "/v1/session?audience=\(query)", headers: narrow)
                #expect(answer.code == "validation_failed", "\(answer.text)")
            }
        }
    }

    @Test("an audience that the configuration does not know is refused by name", arguments: TestEngine.allCases)
    func unknown(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            for body in [
                #"{\#(Self.credentials),"audience":"billing"}"#, #"{\#(Self.credentials),"audience":""}"#,
                #"{\#(Self.credentials),"audience":["chat"]}"#, #"{\#(Self.credentials),"audience":"tessera chat"}"#,
            ] {
                let answer = try await node.send(.post, "/v1/login", body)
                #expect(answer.json["errors"]?.array?.first?["field"]?.string == "audience", "\(answer.text)")
            }
            #expect(try await refresh(node, ada.refresh, #","audience":"billing""#).code == "validation_failed")
            let form = [("grant_type", "refresh_token"), ("refresh_token", ada.refresh), ("audience", "billing")]
            #expect(try await node.token(form).error == "invalid_target")
            #expect(try await node.refresh(ada.refresh).status == 200)
        }
    }

    @Test("a client's token is for one of the client's audiences, if it asks", arguments: TestEngine.allCases)
    func service(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let client = try await node.makeClient(audiences: ["tessera", "billing"])
            func ask(_ audience: String) async throws -> AuthNode.Answer {
                try await node.token(
                    [("grant_type", "client_credentials"), ("audience", audience)],
                    headers: client.basic
                )
            }
            #expect(try audiences(await ask("")) == ["tessera", "billing"])
            #expect(try audiences(await ask("billing")) == ["billing"])
            for other in ["chat", "tessera billing"] { #expect(try await ask(other).error == "invalid_target") }
        }
    }
}
