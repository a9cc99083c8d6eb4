// Bad input gets a problem+json with a code and, if there is one, the field. Nothing is half-written.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Bad input")
struct BadInputTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let body: String?
        var type = "application/json"
        let status: Int
        let code: String
        var field: String?
        var testDescription: String { name }
    }

    static let signups: [Case] = [
        Case(name: "malformed JSON", body: #"{"email":"#, status: 400, code: "invalid_json"),
        Case(name: "text after the value", body: "{} {}", status: 400, code: "invalid_json"),
        Case(
            name: "the same member twice",
            body: #"{"email":"a@b.co","email":"c@d.co","password":"long enough"}"#,
            status: 400,
            code: "json_duplicate_name"
        ),
        Case(
            name: "U+0000",
            body: #"{"email":"a@b.co","password":"long\u0000enough"}"#,
            status: 400,
            code: "json_nul"
        ),
        Case(name: "nested too deep", body: String(repeating: "[", count: 100), status: 400, code: "json_too_deep"),
        Case(name: "no object", body: "[]", status: 400, code: "validation_failed", field: "(body)"),
        Case(
            name: "wrong type",
            body: #"{"email":1,"password":"long enough"}"#,
            status: 400,
            code: "validation_failed",
            field: "email"
        ),
        Case(
            name: "unknown field",
            body: #"{"email":"a@b.co","password":"long enough","role":"admin"}"#,
            status: 400,
            code: "validation_failed",
            field: "role"
        ),
        Case(
            name: "missing field",
            body: #"{"email":"a@b.co"}"#,
            status: 400,
            code: "validation_failed",
            field: "password"
        ),
        Case(name: "missing body", body: nil, status: 400, code: "body_missing"),
        Case(
            name: "1 MiB body",
            body: #"{"email":"\#(String(repeating: "a", count: 1 << 20))"}"#,
            status: 413,
            code: "body_too_large"
        ),
        Case(name: "wrong content type", body: "{}", type: "text/plain", status: 415, code: "unsupported_media_type"),
        Case(
            name: "form",
            body: "email=a",
            type: "application/x-www-form-urlencoded",
            status: 415,
            code: "unsupported_media_type"
        ),
        Case(
            name: "bad email",
            body: #"{"email":"nobody","password":"long enough"}"#,
            status: 400,
            code: "validation_failed",
            field: "email"
        ),
        Case(
            name: "email with two ats",
            body: #"{"email":"a@b@c.de","password":"long enough"}"#,
            status: 400,
            code: "validation_failed",
            field: "email"
        ),
        Case(
            name: "short password",
            body: #"{"email":"a@b.co","password":"short"}"#,
            status: 400,
            code: "validation_failed",
            field: "password"
        ),
        Case(
            name: "long password",
            body: #"{"email":"a@b.co","password":"\#(String(repeating: "x", count: 1025))"}"#,
            status: 400,
            code: "validation_failed",
            field: "password"
        ),
        Case(
            name: "password is the email",
            body: #"{"email":"someone@b.co","password":"Someone@b.co"}"#,
            status: 400,
            code: "validation_failed",
            field: "password"
        ),
    ]

    @Test("a bad signup is refused and leaves nothing", arguments: TestEngine.allCases, signups)
    func signup(engine: TestEngine, bad: Case) async throws {
        try await withNode(engine) { node in
            let answer = try await node.send(.post, "/v1/signup", bad.body, headers: [.contentType: bad.type])
            #expect(answer.status == bad.status && answer.code == bad.code, "\(answer.text)")
            #expect(answer.headers[.contentType] == "application/problem+json")
            #expect(
                answer.json["status"]?.integer == Int64(bad.status)
                    && answer.json["request_id"]?.string?.isEmpty == false
            )
            if let field = bad.field {
                #expect(
                    answer.json["errors"]?.array?.contains { $0["field"]?.string == field } == true,
                    "\(answer.text)"
                )
            }
            for table in ["users", "accounts", "sessions", "refresh_tokens", "events"] {
                #expect(try await node.count(table) == 0, "\(table)")
            }
        }
    }

    @Test("every bad field is named at once", arguments: TestEngine.allCases)
    func allFields(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let answer = try await node.send(.post, "/v1/signup", #"{"email":"x","password":7,"extra":null}"#)
            #expect(
                Set(answer.json["errors"]?.array?.compactMap { $0["field"]?.string } ?? []) == [
                    "email", "password", "extra",
                ]
            )
        }
    }

    @Test("bad cursors, limits, ids and methods are refused by name", arguments: TestEngine.allCases)
    func lists(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let cursor = Cursor(Instant(seconds: 1), "a").encoded(for: "sessions")
            for (query, code) in [
                ("limit=0", "validation_failed"), ("limit=1000", "validation_failed"), ("limit=x", "validation_failed"),
                ("after=x", "invalid_cursor"), ("after=\(cursor)", "invalid_cursor"),
                ("before=\(cursor)&after=\(cursor)", "validation_failed"),
                ("role=king", "validation_failed"), ("active=perhaps", "validation_failed"),
            ] {
                let answer = try await node.send(.get, "/v1/admin/users?\(query)", token: admin.access)
                #expect(answer.status == 400 && answer.code == code, "\(query) \(answer.text)")
            }
            for path in ["/v1/admin/users/unknown", "/v1/admin/users/no%20id", "/v1/nowhere", "/"] {
                #expect(try await node.send(.get, path, token: admin.access).code == "not_found", "\(path)")
            }
            let wrong = try await node.send(.put, "/v1/login", "{}")
            #expect(wrong.status == 405 && wrong.code == "method_not_allowed" && wrong.headers[.allow] == "POST")
        }
    }

    @Test(
        "too many guesses on one account wait, whether it exists or not, and the wait passes",
        arguments: TestEngine.allCases
    )
    func throttling(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            _ = try await node.signUp()
            for email in ["ada@example.com", "nobody@example.com"] {
                // With a counter for each spelling there were as many times ten guesses.
                let spellings = [email, email.uppercased(), " \(email)", email.replacing("example", with: "Example")]
                for index in 0..<10 {
                    let guess = try await node.logInAnswer(spellings[index % 4], password: "wrong password")
                    #expect(guess.status == 401)
                }
                let limited = try await node.logInAnswer(email.replacing("com", with: "COM"))
                #expect(limited.status == 429 && limited.code == "rate_limited")
                #expect(Int(limited.headers[.retryAfter] ?? "").map { $0 >= 1 } == true)
            }
            node.clock.advance(.seconds(2))
            #expect(try await node.logInAnswer().status == 200, "the wait has passed, and success forgets")
            #expect(try await node.logInAnswer(password: "wrong password").status == 401)
            // Another address of the same network is unaffected.
            _ = try await node.signUp("eve@example.com")
            #expect(try await node.logInAnswer("eve@example.com").status == 200)
        }
    }

    @Test("requests of one network are bounded in each window", arguments: TestEngine.allCases)
    func networks(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            for _ in 0..<300 { #expect(try await node.refresh("tsr_guess").status == 401) }
            #expect(try await node.refresh("tsr_guess").status == 429)
            // A good refresh is unaffected by a neighbour's guesses.
            let ada = try await node.signUp()
            #expect(try await node.refresh(ada.refresh).status == 200)
            node.clock.advance(.seconds(61))
            #expect(try await node.refresh("tsr_guess").status == 401)
        }
    }
}
