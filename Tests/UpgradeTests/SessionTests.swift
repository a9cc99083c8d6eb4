// The three ways to carry a session, and sign-in, with data from before the upgrade.
import Foundation
import HTTPTypes
import Storage
import TestSupport
import Testing

@Suite("Upgrade: sessions")
struct SessionTests {
    @Test(
        "each refresh token is refreshed, its successor is the same again within the grace, and reuse ends the session",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func refreshTokens(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let current = upgraded.facts.refreshTokens.filter { $0.code == nil && $0.next == nil }
            #expect(!current.isEmpty)
            for token in current {
                let first = try await upgraded.refresh(token.text)
                try #require(first.status == 200, "\(token.name): \(first.text)")
                #expect(first.json["session"]["id"].string == token.sessionId, "\(token.name)")
                let access = try #require(first.json["access_token"].string)
                #expect(try await upgraded.auth.send(.get, "/v1/me", token: access).status == 200, "\(token.name)")
                #expect(try await upgraded.chat.send(.get, "/v1/tags", token: access).status == 200, "\(token.name)")
                let successor = try #require(first.json["refresh_token"].string)
                #expect(successor != token.text)
                #expect(try await upgraded.refresh(token.text).json["refresh_token"].string == successor)
                #expect(try await upgraded.refresh(successor).status == 200, "\(token.name)")
                #expect(try await upgraded.refresh(token.text).code == "refresh_token_reused", "\(token.name)")
                #expect(try await upgraded.refresh(successor).code == "session_revoked", "\(token.name)")
                #expect(try await upgraded.auth.send(.get, "/v1/me", token: access).code == "session_revoked")
            }
        }
    }

    @Test("a refresh token of an ended session is refused as it was", arguments: Fixture.all, TestEngine.allCases)
    func endedRefreshTokens(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let ended = upgraded.facts.refreshTokens.filter { $0.code != nil }
            #expect(!ended.isEmpty)
            for token in ended {
                let answer = try await upgraded.refresh(token.text)
                // The program before said of a deactivated user what it said of any session that it had ended.
                let inactive =
                    "sessions s JOIN users u ON u.id = s.user_id WHERE s.id = '\(token.sessionId)' AND NOT is_active"
                let isInactive = try await upgraded.auth.count(inactive) == 1
                #expect(answer.code == (isInactive ? "user_inactive" : token.code), "\(token.name): \(answer.text)")
            }
        }
    }

    @Test(
        "a token that was just rotated yields the successor that the program before gave",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func successors(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let rotated = upgraded.facts.refreshTokens.filter { $0.next != nil }
            #expect(!rotated.isEmpty)
            for token in rotated {
                upgraded.clock.set(try Facts.instant(try #require(token.rotatedAt)) + .seconds(5))
                #expect(try await upgraded.refresh(token.text).json["refresh_token"].string == token.next)
                // The same request in OAuth's form (RFC 6749 §6).
                let form = "grant_type=refresh_token&refresh_token=\(token.text)"
                let answer = try await upgraded.auth.form("/oauth2/token", form)
                #expect(answer.json["refresh_token"].string == token.next, "\(answer.text)")
                upgraded.clock.advance(.seconds(6))
                #expect(try await upgraded.refresh(token.text).code == "refresh_token_reused")
                #expect(try await upgraded.refresh(try #require(token.next)).code == "session_revoked")
            }
        }
    }

    @Test("each cookie opens its session until it is logged out", arguments: Fixture.all, TestEngine.allCases)
    func cookies(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            #expect(Set(upgraded.facts.cookies.map(\.isLive)) == [true, false])
            for cookie in upgraded.facts.cookies {
                let headers = ["Cookie": cookie.cookie, "Origin": upgraded.facts.publicUrl]
                let page = try await upgraded.auth.send(.get, "/v1/session", headers: headers)
                #expect(page.status == (cookie.isLive ? 200 : 401), "\(cookie.name): \(page.text)")
                guard cookie.isLive else { continue }
                #expect(page.json["session"]["id"].string == cookie.sessionId, "\(cookie.name)")
                #expect(page.json["user"]["id"].string == cookie.userId, "\(cookie.name)")
                let access = try #require(page.json["access_token"].string)
                #expect(try await upgraded.auth.send(.get, "/v1/me", token: access).status == 200)
                #expect(try await upgraded.auth.send(.post, "/v1/logout", headers: headers).status == 204)
                #expect(try await upgraded.auth.send(.get, "/v1/session", headers: headers).status == 401)
                #expect(try await upgraded.auth.send(.get, "/v1/me", token: access).code == "session_revoked")
            }
        }
    }

    @Test(
        "users log in with either spelling of their address, and each spelling is taken",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func passwords(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let blocked = upgraded.facts.blocked.user
            #expect(upgraded.facts.users.contains { !$0.spellings.isEmpty })
            for user in upgraded.facts.users where user.name != blocked {
                for email in [user.email] + user.spellings {
                    let answer = try await upgraded.logIn(email, user.password)
                    #expect((answer.status == 200) == user.canLogIn, "\(email): \(answer.text)")
                    guard user.canLogIn else { continue }
                    #expect(answer.json["user"]["id"].string == user.id, "\(email)")
                    #expect(answer.json["user"]["email"].string == user.email, "\(email)")
                    #expect(try await upgraded.logIn(email, "not the password").status == 401, "\(email)")
                    let taken = try await upgraded.auth.send(
                        .post,
                        "/v1/signup",
                        Upgraded.credentials(email, "Long enough 1")
                    )
                    #expect(taken.code == "email_taken", "\(email): \(taken.text)")
                }
            }
        }
    }

    @Test("an account that has to wait waits on, to the second", arguments: Fixture.all, TestEngine.allCases)
    func rateCounters(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let user = try upgraded.facts.user(upgraded.facts.blocked.user)
            let end = try Facts.instant(upgraded.facts.blocked.until)
            upgraded.clock.set(end - .milliseconds(4500))
            // From a network without a failure it would be judged.
            #expect(try await upgraded.logIn("nobody@example.com", "not the password").status == 401)
            upgraded.clock.set(end - .milliseconds(4500))
            let refused = try await upgraded.logIn(user.email, user.password)
            #expect(refused.code == "rate_limited")
            #expect(refused.headers[.retryAfter] == "5")
            upgraded.clock.set(end)
            #expect(try await upgraded.logIn(user.email, user.password).status == 200)
        }
    }
}

extension Upgraded {
    func refresh(_ token: String) async throws -> Answer {
        try await auth.send(.post, "/v1/token/refresh", #"{"refresh_token":"\#(token)"}"#)
    }

    func logIn(_ email: String, _ password: String) async throws -> Answer {
        try await auth.send(.post, "/v1/login", Self.credentials(email, password))
    }

    static func credentials(_ email: String, _ password: String) -> String {
        #"{"email":"\#(email)","password":"\#(password)"}"#
    }
}

extension Upgraded.Service {
    func form(_ path: String, _ body: String, headers: [String: String] = [:]) async throws -> Answer {
        let type = ["Content-Type": "application/x-www-form-urlencoded"]
        return try await send(.post, path, body, headers: headers.merging(type) { given, _ in given })
    }
}
