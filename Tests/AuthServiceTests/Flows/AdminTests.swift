import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Admin")
struct AdminTests {
    @Test(
        "users are listed newest first, in keyset pages both ways, filtered and searched",
        arguments: TestEngine.allCases
    )
    func list(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            for index in 0..<25 {
                let body =
                    #"{"email":"User\#(index)@example.com","password":"\#(AuthNode.password)","name":"Élan \#(index)","role":"\#(index % 5 == 0 ? "premium" : "user")"}"#
                #expect(try await node.send(.post, "/v1/admin/users", body, token: admin.access).status == 201)
            }
            // The id decides between equal times.
            let tie = Statement(
                "test.tie",
                .writes,
                ["instant": .instant],
                "UPDATE users SET created_at = :instant WHERE role = 'premium'"
            )
            _ = try await node.database.run(tie.bind(["instant": Instant(seconds: 1_700_000_000)]))
            func page(_ query: String) async throws -> AnswerJSON {
                try await node.send(.get, "/v1/admin/users?\(query)", token: admin.access).json
            }
            var seen: [String] = []
            var cursor = ""
            var previous: String?
            repeat {
                let answer = try await page("limit=4\(cursor)")
                seen += try #require(answer["data"]?.array).compactMap { $0["id"]?.string }
                previous = answer["prev_cursor"]?.string
                cursor = answer["next_cursor"]?.string.map { "&after=\($0)" } ?? ""
            } while !cursor.isEmpty
            #expect(seen.count == 26 && Set(seen).count == 26)
            let back = try await page("limit=4&before=\(try #require(previous))")
            #expect(back["data"]?.array?.compactMap { $0["id"]?.string } == Array(seen[20..<24]))

            // Pages by number are the same pages.
            for number in 1...8 {
                let ids = try await page("limit=4&page=\(number)")["data"]?.array?.compactMap { $0["id"]?.string }
                #expect(ids == Array(seen.dropFirst(4 * (number - 1)).prefix(4)), "\(number)")
            }
            for filter in ["role=premium", "q=user", "active=true"] {
                let whole = try await page("limit=100&\(filter)")["data"]?.array?.compactMap { $0["id"]?.string }
                let second = try await page("limit=2&page=2&\(filter)")["data"]?.array?.compactMap { $0["id"]?.string }
                #expect(second == whole.map { Array($0.dropFirst(2).prefix(2)) }, "\(filter)")
            }
            for bad in ["page=0", "page=x", "limit=100&page=101", "page=1&after=\(try #require(previous))"] {
                #expect(try await page(bad)["code"]?.string == "validation_failed", "\(bad)")
            }

            #expect(try await page("role=premium&count=true")["total"]?.integer == 5)
            #expect(try await page("q=USER1&limit=100")["data"]?.array?.count == 11)
            #expect(try await page("q=e%CC%81lan%202&limit=100")["data"]?.array?.count == 6)
            #expect(try await page("q=nobody")["data"]?.array?.isEmpty == true)
            #expect(try await page("active=false")["data"]?.array?.isEmpty == true)
        }
    }

    @Test("a user is deactivated, refused, and let in again", arguments: TestEngine.allCases)
    func deactivation(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            let path = "/v1/admin/users/\(ada.userID)"
            let off = try await node.send(.post, "\(path)/deactivate", token: admin.access)
            #expect(off.status == 200 && off.json["is_active"]?.boolean == false)
            #expect(try await node.me(ada.access).code == "user_inactive")
            #expect(try await node.refresh(ada.refresh).code == "user_inactive")
            #expect(try await node.logInAnswer().code == "user_inactive")
            #expect(try await node.logInAnswer(password: "wrong password").code == "invalid_credentials")
            #expect(try await node.send(.post, "\(path)/deactivate", token: admin.access).status == 200)
            #expect(try await node.count("events WHERE kind = 'user.deactivated'") == 1)
            #expect(
                try await node.send(.post, "\(path)/reactivate", token: admin.access).json["is_active"]?.boolean == true
            )
            #expect(try await node.logInAnswer().status == 200)
            #expect(try await node.refresh(ada.refresh).status == 401, "an ended session never comes back")
            #expect(try await node.count("events WHERE kind = 'user.reactivated'") == 1)
        }
    }

    @Test("the last active admin can be neither demoted, deactivated nor deleted", arguments: TestEngine.allCases)
    func lastAdmin(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let path = "/v1/admin/users/\(admin.userID)"
            let events = try await node.count("events")
            #expect(try await node.send(.patch, path, #"{"role":"user"}"#, token: admin.access).code == "last_admin")
            #expect(try await node.send(.post, "\(path)/deactivate", token: admin.access).code == "last_admin")
            #expect(try await node.send(.delete, path, token: admin.access).code == "last_admin")
            #expect(try await node.send(.delete, "/v1/me", token: admin.access).code == "last_admin")
            #expect(try await node.count("events") == events, "nothing happened, so nothing is told")
            #expect(try await node.me(admin.access).status == 200)
            _ = try await node.makeAdmin("second@example.com")
            #expect(try await node.send(.delete, path, token: admin.access).status == 204)
        }
    }

    @Test("sessions are revoked one by one, by user, in bulk, and all at once", arguments: TestEngine.allCases)
    func revocation(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            var users: [AuthNode.LoggedIn] = []
            for index in 0..<5 { users.append(try await node.signUp("user\(index)@example.com")) }
            func post(_ body: String) async throws -> AuthNode.Answer {
                try await node.send(.post, "/v1/admin/sessions/revoke", body, token: admin.access)
            }
            let all = try await node.send(.get, "/v1/admin/sessions?limit=100", token: admin.access)
            #expect(all.json["data"]?.array?.count == 6)
            #expect(
                try await node.send(.delete, "/v1/admin/sessions/\(users[0].sessionID)", token: admin.access).status
                    == 204
            )
            #expect(try await node.send(.delete, "/v1/admin/sessions/unknown", token: admin.access).status == 404)
            let ofUser = try await node.send(
                .delete,
                "/v1/admin/users/\(users[1].userID)/sessions",
                token: admin.access
            )
            #expect(ofUser.json["revoked"]?.integer == 1)
            #expect(
                try await post(#"{"session_ids":["\#(users[2].sessionID)","unknown"]}"#).json["revoked"]?.integer == 1
            )
            #expect(try await post(#"{"user_ids":["\#(users[3].userID)"]}"#).json["revoked"]?.integer == 1)
            for user in users.prefix(4) {
                #expect(try await node.me(user.access).status == 401)
                #expect(try await node.refresh(user.refresh).status == 401)
            }
            #expect(try await node.me(users[4].access).status == 200)
            for bad in [
                "{}", #"{"all":false}"#, #"{"all":true,"user_ids":["a"]}"#, #"{"session_ids":[]}"#,
                #"{"session_ids":["no id!"]}"#,
            ] {
                #expect(try await post(bad).code == "validation_failed", "\(bad)")
            }
            let ended = try await node.send(
                .get,
                "/v1/admin/users/\(users[0].userID)/sessions?ended=true",
                token: admin.access
            )
            #expect(ended.json["data"]?.array?.first?["revoke_reason"]?.string == "revoked_by_admin")

            #expect(try await post(#"{"all":true}"#).status == 200)
            #expect(try await node.me(users[4].access).code == "session_revoked")
            #expect(try await node.refresh(users[4].refresh).code == "session_revoked")
            #expect(try await node.me(admin.access).status == 401, "everybody means everybody")
            #expect(try await node.count("events WHERE kind = 'all.tokens_revoked'") == 1)
            let back = try await node.logIn("user4@example.com")
            #expect(try await node.me(back.access).status == 200)
        }
    }

    @Test(
        "keys rotate when the next one is known; old tokens stay good; spent keys leave the JWKS",
        arguments: TestEngine.allCases
    )
    func keys(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            func kids() async throws -> Set<String> {
                let jwks = try await node.send(.get, "/.well-known/jwks.json")
                #expect(jwks.headers[.cacheControl] == "public, max-age=300")
                let cached = try await node.send(
                    .get,
                    "/.well-known/jwks.json",
                    headers: [.ifNoneMatch: try #require(jwks.headers[.eTag])]
                )
                #expect(cached.status == 304)
                return Set(jwks.json["keys"]?.array?.compactMap { $0["kid"]?.string } ?? [])
            }
            let before = try await kids()
            #expect(before.count == 2)
            // Both keys were published together, so every verifier knows the next one.
            #expect(try await node.send(.post, "/v1/admin/keys/rotate", token: admin.access).status == 200)
            let rotated = try await kids()
            #expect(rotated.isSuperset(of: before) && rotated.count == 3)
            #expect(try await node.me(admin.access).status == 200)
            let fresh = try await node.logIn("root@example.com")
            #expect(try JWS.parse(fresh.access).header.kid != JWS.parse(admin.access).header.kid)
            // Some verifiers do not know the one after it yet.
            #expect(try await node.send(.post, "/v1/admin/keys/rotate", token: admin.access).code == "conflict")
            node.clock.advance(.seconds(16 * 60))
            try await node.service.keys.maintain()
            #expect(try await kids().count == 2, "the previous key has left: its last token has expired")
            let again = try await node.logIn("root@example.com")
            #expect(try await node.send(.post, "/v1/admin/keys/rotate", token: again.access).status == 200)
            #expect(try await node.count("events WHERE kind = 'keys.rotated'") == 2)
            // A copied row opens nothing: the sealed key is bound to its kid.
            let rows = try await node.query("SELECT kid, private_key FROM signing_keys")
            let sealed = try rows.map { try $0.bytes("private_key") }
            #expect(sealed.allSatisfy { !$0.starts(with: [0x30]) })
        }
    }

    @Test(
        "cleanup removes what has ended, keeps what has not, and runs on one node at a time",
        arguments: TestEngine.allCases
    )
    func cleanup(engine: TestEngine) async throws {
        try await withNodes(engine, [NodeOptions(), NodeOptions()]) { nodes in
            let node = nodes[0]
            let admin = try await node.makeAdmin()
            let old = try await node.signUp("old@example.com")
            let gone = try await node.signUp("gone@example.com")
            _ = try await node.send(.delete, "/v1/me", token: gone.access)
            _ = try await node.send(.delete, "/v1/admin/sessions/\(old.sessionID)", token: admin.access)
            node.clock.advance(.seconds(100 * 86_400))
            let living = try await node.logIn("root@example.com")
            let report = try await node.send(.post, "/v1/admin/cleanup", token: living.access)
            #expect(report.json["removed"]?["sessions"]?.integer == 2, "\(report.text)")
            #expect(try await node.count("sessions") == 1)
            #expect(try await node.count("refresh_tokens") == 1)
            #expect(try await node.count("events WHERE kind <> 'user.deleted'") == 0)
            #expect(try await node.count("events WHERE kind = 'user.deleted'") == 1, "a deletion is told for ever")
            #expect(try await node.me(living.access).status == 200)
            let runs = try await inParallel(2) { try await nodes[$0].service.cleanup.runIfFree() != nil }
            #expect(runs.contains(true))
        }
    }
}
