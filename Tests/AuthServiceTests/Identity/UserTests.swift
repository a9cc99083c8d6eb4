import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Users")
struct UserTests {
    @Test("a PATCH distinguishes absent, null and a value, field by field", arguments: TestEngine.allCases)
    func patch(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            func patch(_ body: String) async throws -> AuthNode.Answer {
                try await node.send(.patch, "/v1/me", body, token: ada.access)
            }
            let full = try await patch(
                #"{"name":"A","first_name":"B","last_name":"C","avatar_url":"https://x.test/a.png","metadata":{"k":1e2}}"#
            )
            #expect(full.status == 200, "\(full.text)")
            for field in ["name", "first_name", "last_name", "avatar_url"] {
                let cleared = try await patch(#"{"\#(field)":null}"#)
                #expect(cleared.json[field]?.isNull == true, "\(field)")
                for other in ["name", "first_name", "last_name", "avatar_url"] where other > field {
                    #expect(cleared.json[other]?.isNull == false || other < field, "\(field) cleared \(other)")
                }
                #expect(cleared.json["metadata"]?.raw == #"{"k":1e2}"#)
                _ = try await patch(#"{"\#(field)":"https://x.test/again"}"#)
            }
            let unchanged = try await node.me(ada.access)
            #expect(try await patch("{}").text == unchanged.text, "nothing was said, so nothing changes")
            for bad in ["null", "[]", #""x""#, "1"] {
                let answer = try await patch(#"{"metadata":\#(bad)}"#)
                #expect(answer.status == 400, "metadata is an object, not \(bad)")
                #expect(answer.json["errors"]?.array?.first?["field"]?.string == "metadata")
            }
            #expect(try await node.me(ada.access).json["metadata"]?.raw == #"{"k":1e2}"#)
        }
    }

    @Test("metadata is kept byte for byte, up to its limit", arguments: TestEngine.allCases)
    func metadata(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let texts = [
                "{}", "{ }", #"{"a":1.0,"A":1,"b":{"c":[ 1 , 2 ]}}"#, #"{"e":"\u00e9","é":"é","x":"\/"}"#,
                #"{"n":123456789012345678901234567890,"m":-0.0e-0}"#, "{\n\t\"line\" : null\r\n}",
                #"{"pad":"\#(String(repeating: "x", count: 16 * 1024 - 10))"}"#,
            ]
            for text in texts {
                let answer = try await node.send(.patch, "/v1/me", #"{"metadata":\#(text)}"#, token: ada.access)
                #expect(answer.json["metadata"]?.raw == text)
                #expect(try await node.me(ada.access).json["metadata"]?.raw == text)
            }
            let long = #"{"pad":"\#(String(repeating: "x", count: 16 * 1024 - 9))"}"#
            #expect(try await node.send(.patch, "/v1/me", #"{"metadata":\#(long)}"#, token: ada.access).status == 400)
        }
    }

    @Test("names and pictures have bounds", arguments: TestEngine.allCases)
    func bounds(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let bad: [(String, String)] = [
                ("name", #""""#), ("name", #""   ""#), ("name", #""\#(String(repeating: "x", count: 201))""#),
                ("name", #""bell\u0007""#), ("first_name", "7"), ("avatar_url", #""javascript:alert(1)""#),
                ("avatar_url", #""\#("https://" + String(repeating: "x", count: 2048))""#),
                ("avatar_url", #""data:,""#), ("avatar_url", #""http://x.test/a.png""#),
                ("avatar_url", #""https://ada:secret@x.test/a.png""#), ("avatar_url", #""https://x.test/a\nb""#),
                ("avatar_url", #""https://x.test/%0d%0a""#), ("avatar_url", #""https:///a.png""#),
                ("avatar_url", #"" https://x.test/a.png""#),
            ]
            for (field, value) in bad {
                let answer = try await node.send(.patch, "/v1/me", #"{"\#(field)":\#(value)}"#, token: ada.access)
                #expect(answer.status == 400 && answer.code == "validation_failed", "\(field) \(value)")
                #expect(answer.json["errors"]?.array?.first?["field"]?.string == field)
            }
            let long = String(repeating: "é", count: 200)
            let answer = try await node.send(.patch, "/v1/me", #"{"name":"\#(long)"}"#, token: ada.access)
            #expect(answer.json["name"]?.string == long)
        }
    }

    @Test("a picture may be of http where the configuration says so", arguments: TestEngine.allCases)
    func plainPicture(engine: TestEngine) async throws {
        try await withConfiguredNode(engine) {
            $0.allowsHTTPURLs = true
        } _: { node in
            let ada = try await node.signUp()
            for (url, status) in [("http://x.test/a.png", 200), ("https://x.test", 200), ("ftp://x.test/a.png", 400)] {
                let answer = try await node.send(.patch, "/v1/me", #"{"avatar_url":"\#(url)"}"#, token: ada.access)
                #expect(answer.status == status, "\(url): \(answer.text)")
            }
        }
    }

    @Test("every wrong field of a request is named at once", arguments: TestEngine.allCases)
    func allErrors(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let jwks = #"{"keys":[]}"#
            _ = try await node.makeClient()
            let cases: [(method: HTTPRequest.Method, path: String, body: String, fields: [String])] = [
                (
                    .post, "/v1/signup", #"{"email":"no","password":"short","name":"","x":1,"audience":"none"}"#,
                    ["audience", "email", "name", "password", "x"]
                ), (.post, "/v1/signup", #"{"email":7}"#, ["email", "password"]),
                (.post, "/v1/login", #"{"email":7,"audience":"none"}"#, ["audience", "email", "password"]),
                (.post, "/v1/token/refresh", #"{"audience":"none"}"#, ["audience", "refresh_token"]),
                (.post, "/v1/password/change", #"{"password":"short"}"#, ["current_password", "password"]),
                (
                    .patch, "/v1/me", #"{"name":"","first_name":7,"avatar_url":"x","metadata":null}"#,
                    ["avatar_url", "first_name", "metadata", "name"]
                ),
                (
                    .post, "/v1/admin/users", #"{"email":"no","password":"short","role":"king","name":""}"#,
                    ["email", "name", "password", "role"]
                ),
                (
                    .patch, "/v1/admin/users/\(admin.userID)", #"{"role":"king","name":"","avatar_url":"x"}"#,
                    ["avatar_url", "name", "role"]
                ),
                (
                    .post, "/v1/admin/clients",
                    #"{"id":"a b","name":7,"scopes":[""],"audiences":["a b"],"jwks":\#(jwks),"x":1}"#,
                    ["audiences", "id", "jwks", "name", "scopes", "x"]
                ),
                (
                    .patch, "/v1/admin/clients/worker", #"{"name":"","scopes":7,"audiences":["billing"],"jwks":7}"#,
                    ["audiences", "jwks", "name", "scopes"]
                ),
                (
                    .post, "/v1/admin/clients/worker/rotate-secret", #"{"overlap_seconds":-1,"x":1}"#,
                    ["overlap_seconds", "x"]
                ),
            ]
            for (method, path, body, fields) in cases {
                let answer = try await node.send(method, path, body, token: admin.access)
                #expect(answer.status == 400 && answer.code == "validation_failed", "\(path) \(answer.text)")
                let named = answer.json["errors"]?.array?.compactMap { $0["field"]?.string } ?? []
                #expect(named.sorted() == fields, "\(path): each once; \(answer.text)")
            }
            // A new password that is one's own address is no reason to judge the current one.
            let body = #"{"current_password":"a guess","password":"root@example.com"}"#
            let answer = try await node.send(.post, "/v1/password/change", body, token: admin.access)
            #expect(answer.json["errors"]?.array?.map { $0["code"]?.string } == ["too_guessable"], "\(answer.text)")
        }
    }

    @Test("an admin makes, reads, changes and deletes a user", arguments: TestEngine.allCases)
    func administration(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            func send(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil) async throws
                -> AuthNode.Answer
            {
                try await node.send(method, "/v1/admin/users\(path)", body, token: admin.access)
            }
            let body = #"{"email":"Ada@example.com","password":"\#(AuthNode.password)","name":"Ada","role":"Premium"}"#
            let made = try await send(.post, "", body)
            #expect(
                made.status == 201 && made.json["role"]?.string == "premium"
                    && made.json["last_login_at"]?.isNull == true
            )
            let id = try #require(made.json["id"]?.string)
            #expect(try await node.count("sessions WHERE user_id = '\(id)'") == 0, "making a user opens no session")
            #expect(try await send(.post, "", body.lowercased()).code == "email_taken")
            #expect(try await send(.get, "/\(id)").json["email"]?.string == "Ada@example.com")

            let ada = try await node.logIn()
            let changed = try await send(.patch, "/\(id)", #"{"role":"user","first_name":"Augusta"}"#)
            #expect(changed.json["role"]?.string == "user" && changed.json["first_name"]?.string == "Augusta")
            #expect(try await node.me(ada.access).code == "token_stale")
            // One bad field: neither is changed.
            #expect(try await send(.patch, "/\(id)", #"{"role":"premium","name":""}"#).status == 400)
            #expect(try await send(.get, "/\(id)").json["role"]?.string == "user")

            let sessions = try await send(.get, "/\(id)/sessions")
            #expect(sessions.json["data"]?.array?.map { $0["id"]?.string } == [ada.sessionID])
            #expect(try await send(.get, "/unknown/sessions").status == 404)
            let filtered = try await node.send(.get, "/v1/admin/sessions?user_id=\(id)", token: admin.access)
            #expect(filtered.json["data"]?.array?.map { $0["user_id"]?.string } == [id])

            #expect(try await send(.delete, "/\(id)").status == 204)
            #expect(try await send(.get, "/\(id)").status == 404)
            #expect(try await send(.delete, "/\(id)").status == 404)
            #expect(try await node.refresh(ada.refresh).code == "user_inactive")
            #expect(try await node.signUp().userID != id, "the address is free again, for another user")
        }
    }

    @Test("a search finds beginnings of addresses and names, and takes no pattern", arguments: TestEngine.allCases)
    func search(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin("root@admin.example")
            let people = [
                ("ada@example.com", "Ada Lovelace"), ("a_b@example.com", "100% Wool"), ("axb@example.com", "ZOË Élan"),
                ("straße@example.com", "日本 太郎"), ("adam@example.com", "\u{1F600} Smile"),
            ]
            for (email, name) in people {
                let body = #"{"email":"\#(email)","password":"\#(AuthNode.password)","name":"\#(name)"}"#
                #expect(try await node.send(.post, "/v1/admin/users", body, token: admin.access).status == 201)
            }
            func found(_ text: String, _ more: String = "") async throws -> Set<String> {
                let allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                let query = text.utf8.map { byte in
                    let character = Character(Unicode.Scalar(byte))
                    let hex = String(byte, radix: 16, uppercase: true)
                    return allowed.contains(character) ? String(character) : "%" + (hex.count < 2 ? "0" : "") + hex
                }.joined()
                let answer = try await node.send(
                    .get,
                    "/v1/admin/users?count=true&q=\(query)\(more)",
                    token: admin.access
                )
                let data = try #require(answer.json["data"]?.array, "\(text) \(answer.text)")
                #expect(answer.json["total"]?.integer == Int64(data.count), "\(text)")
                return Set(data.compactMap { $0["email"]?.string })
            }
            #expect(try await found("ada") == ["ada@example.com", "adam@example.com"])
            #expect(try await found("ADA@") == ["ada@example.com"])
            #expect(try await found("ada l") == ["ada@example.com"])
            #expect(try await found("lovelace") == [], "a beginning, not any word")
            #expect(try await found("a_") == ["a_b@example.com"])
            #expect(try await found("%") == [])
            #expect(try await found("100%") == ["a_b@example.com"])
            #expect(try await found("zoe\u{308} e\u{301}") == ["axb@example.com"], "in either normal form")
            #expect(try await found("STRASSE") == [], "folding is by letter, as addresses are")
            #expect(try await found("日本") == ["straße@example.com"])
            #expect(try await found("\u{1F600}") == ["adam@example.com"])
            #expect(try await found("a' OR '1'='1") == [])
            #expect(try await found("ada", "&active=false") == [])
            #expect(try await found("ada", "&role=ADMIN") == [])
            #expect(try await found("root", "&role=admin") == ["root@admin.example"])
        }
    }

    @Test("pages meet without gap or double in both directions, with ties in the order", arguments: TestEngine.allCases)
    func pages(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            for index in 0..<11 { _ = try await node.signUp("user\(index)@example.com") }
            try await node.execute("UPDATE users SET created_at = :at", ["at": Instant(seconds: 1_700_000_000)])
            try await node.execute("UPDATE sessions SET created_at = :at", ["at": Instant(seconds: 1_700_000_000)])
            for path in ["/v1/admin/users", "/v1/admin/sessions"] {
                func page(_ query: String) async throws -> AuthNode.Answer {
                    try await node.send(.get, "\(path)?\(query)", token: admin.access)
                }
                func ids(_ answer: AuthNode.Answer) -> [String] {
                    answer.json["data"]?.array?.compactMap { $0["id"]?.string } ?? []
                }
                let all = ids(try await page("limit=100"))
                #expect(all.count == 12 && all == all.sorted().reversed())
                for limit in [1, 5, 6, 12] {
                    var answer = try await page("limit=\(limit)")
                    var there = ids(answer)
                    while let next = answer.json["next_cursor"]?.string {
                        #expect(answer.json["has_more"]?.boolean == true)
                        answer = try await page("limit=\(limit)&after=\(next)")
                        there += ids(answer)
                    }
                    #expect(there == all, "\(path) forth by \(limit)")
                    var back = ids(answer)
                    while let previous = answer.json["prev_cursor"]?.string {
                        answer = try await page("limit=\(limit)&before=\(previous)")
                        back = ids(answer) + back
                    }
                    #expect(back == all, "\(path) back by \(limit)")
                }
            }
        }
    }
}
