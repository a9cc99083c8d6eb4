// Limits on text count code points or bytes, and come before any work on the text.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Limits on text of auth")
struct TextLimitTests {
    /// Marks that Unicode puts into another order: a comparison by characters takes a second for as many.
    private static let marks = String(repeating: "\u{301}", count: 15_000) + String(repeating: "\u{316}", count: 15_000)

    @Test("a limit is the same for letters of one byte and of four", arguments: TestEngine.allCases)
    func letters(engine: TestEngine) async throws {
        try await withNode(engine) { node async throws in
            let ada = try await node.signUp()
            let admin = try await node.makeAdmin()
            for (number, letter) in ["a", "é", "𝒳"].enumerated() {
                func text(_ count: Int) -> String { String(repeating: letter, count: count) }
                func signUp(_ password: String) async throws -> AuthNode.Answer {
                    let email = "person-\(number)@example.com"
                    return try await node.send(.post, "/v1/signup", #"{"email":"\#(email)","password":"\#(password)"}"#)
                }
                #expect(try await signUp(text(7)).json["errors"]?.array?.first?["code"]?.string == "too_short")
                #expect(try await signUp(text(1025)).json["errors"]?.array?.first?["code"]?.string == "too_long")
                #expect(try await signUp(text(1024)).status == 201)
                let login = try await node.logInAnswer("person-\(number)@example.com", password: text(1024))
                #expect(login.status == 200, "\(login.text)")
                for field in ["name", "first_name", "last_name"] {
                    let right = try await node.send(
                        .patch,
                        "/v1/me",
                        #"{"\#(field)":"\#(text(200))"}"#,
                        token: ada.access
                    )
                    #expect(right.status == 200, "\(field) \(right.text)")
                    let wrong = try await node.send(
                        .patch,
                        "/v1/me",
                        #"{"\#(field)":"\#(text(201))"}"#,
                        token: ada.access
                    )
                    #expect(wrong.status == 400 && wrong.json["errors"]?.array?.first?["field"]?.string == field)
                }
                for (count, status) in [(200, 201), (201, 400)] {
                    let body = #"{"name":"\#(text(count))"}"#
                    let made = try await node.send(.post, "/v1/admin/clients", body, token: admin.access)
                    #expect(made.status == status, "\(made.text)")
                }
            }
        }
    }

    /// The agent is a header of 8,000 bytes; whole scalars of two bytes follow the first of one.
    @Test("a user's agent is cut in bytes, at a scalar", arguments: TestEngine.allCases)
    func agent(engine: TestEngine) async throws {
        try await withNode(engine) { node async throws in
            _ = try await node.signUp()
            let agent = "a" + String(repeating: "\u{301}", count: 3999)
            let body = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
            let login = try await node.send(.post, "/v1/login", body, headers: [.userAgent: agent])
            #expect(login.status == 200, "\(login.text)")
            #expect(login.json["session"]?["user_agent"]?.string?.utf8.count == 511)
            for table in ["sessions", "audit_log"] {
                for row in try await node.query("SELECT user_agent FROM \(table) WHERE user_agent IS NOT NULL") {
                    #expect(try row.text("user_agent").utf8.count <= 512)
                }
            }
        }
    }

    /// Four hundred texts, each of which took a second when characters were compared.
    @Test("60 KB of combining marks are refused like other nonsense, wherever they stand", .timeLimit(.minutes(2)))
    func marks() async throws {
        try await withNode(.sqlite) { node async throws in
            let ada = try await node.signUp()
            let marks = Self.marks
            let fields: HTTPFields = [
                .userAgent: marks, .origin: marks, .cookie: marks, .accept: marks, .ifNoneMatch: marks,
                .forwardedFor: marks, .requestID: marks, .traceparent: marks, .lastEventID: marks,
            ]
            for round in 0..<20 {
                for body in [
                    #"{"email":"ada@example.com","password":"\#(marks)"}"#, #"{"email":"\#(marks)","password":"x"}"#,
                    #"{"email":"ada@example.com","password":"x","\#(marks)":1}"#,
                ] {
                    let answer = try await node.send(.post, "/v1/login", body)
                    #expect([400, 401, 403].contains(answer.status), "\(answer.status)")
                }
                #expect(try await node.refresh(marks).status == 400)
                #expect(try await node.send(.get, "/v1/me", token: ada.access, headers: fields).status == 200)
                let login = try await node.logInAnswer()
                #expect(login.status == 200, "\(round)")
                for form in ["grant_type=\(marks)", "grant_type=client_credentials&client_id=\(marks)"] {
                    let token = try await node.send(
                        .post,
                        "/oauth2/token",
                        form,
                        headers: [.contentType: "application/x-www-form-urlencoded"]
                    )
                    #expect([400, 401].contains(token.status), "\(token.text)")
                }
                for field in ["name", "avatar_url"] {
                    let body = #"{"\#(field)":"\#(marks)"}"#
                    #expect(try await node.send(.patch, "/v1/me", body, token: ada.access).status == 400)
                }
            }
        }
    }
}
