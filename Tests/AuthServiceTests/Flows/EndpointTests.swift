// Every operation: its callers, the methods of its path, and its answers to nonsense. The table is the router's, so a
// new operation is covered at once.
import AuthService
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Every operation")
struct EndpointTests {
    /// Operations without a login; all others must refuse. Operations for clients refuse in OAuth's terms: see
    /// OAuthTokenTests and IntrospectionTests.
    private static let open: Set<String> = [
        "POST /v1/signup", "POST /v1/login", "POST /v1/token/refresh", "GET /healthz", "GET /readyz",
        "GET /openapi.yaml", "GET /.well-known/jwks.json", "GET /.well-known/openid-configuration",
        "GET /.well-known/oauth-authorization-server", "POST /oauth2/token",
        "POST /oauth2/introspect", "POST /oauth2/revoke",
    ]

    @Test("strangers get 401 with a challenge, users 403 on everything of admins", arguments: TestEngine.allCases)
    func access(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let before = try await node.rowCounts()
            let guarded = node.operations().filter {
                !Self.open.contains("\($0.method == .head ? .get : $0.method) \($0.path)")
            }
            #expect(guarded.count > 20)
            for (method, path) in guarded {
                let stranger = try await node.send(method, path, method == .post || method == .patch ? "{}" : nil)
                #expect(stranger.status == 401, "\(method) \(path)")
                #expect(stranger.headers[.wwwAuthenticate] == #"Bearer realm="tessera""#, "\(method) \(path)")
                #expect(method == .head || stranger.code == "token_missing", "\(method) \(path) \(stranger.text)")
                guard path.hasPrefix("/v1/admin") else { continue }
                let user = try await node.send(method, path, method == .post ? "{}" : nil, token: ada.access)
                #expect(user.status == 403, "\(method) \(path)")
                #expect(method == .head || user.code == "role_required", "\(method) \(path)")
            }
            #expect(try await node.rowCounts() == before)
        }
    }

    @Test("a method that a path does not take is 405 and names those it takes")
    func methods() async throws {
        try await withNode(.sqlite) { node in
            let admin = try await node.makeAdmin()
            let paths = Dictionary(grouping: node.operations(), by: \.path)
            for (path, operations) in paths {
                let taken = Set(operations.map(\.method))
                for method in [HTTPRequest.Method.get, .post, .put, .patch, .delete] where !taken.contains(method) {
                    let answer = try await node.send(method, path, token: admin.access)
                    #expect(answer.status == 405 && answer.code == "method_not_allowed", "\(method) \(path)")
                    let allowed = answer.headers[.allow]?.split(separator: ",").map { $0.filter { $0 != " " } } ?? []
                    #expect(Set(allowed) == Set(taken.map(\.rawValue)), "\(method) \(path)")
                }
            }
        }
    }

    private static let takingJSON: [(method: HTTPRequest.Method, path: String, fields: [String])] = [
        (.post, "/v1/signup", ["email", "password", "name"]),
        (.post, "/v1/login", ["email", "password", "device_token"]),
        (.post, "/v1/token/refresh", ["refresh_token"]), (.post, "/v1/logout", ["refresh_token"]),
        (.post, "/v1/password/change", ["current_password", "password"]),
        (.patch, "/v1/me", ["name", "first_name", "last_name", "avatar_url", "metadata"]),
        (.post, "/v1/admin/users", ["email", "password", "name", "role"]),
        (.patch, "/v1/admin/users/ID", ["role", "name", "first_name", "last_name"]),
        (.post, "/v1/admin/sessions/revoke", ["session_ids", "user_ids", "all"]),
        (.post, "/v1/admin/clients", ["id", "name"]), (.patch, "/v1/admin/clients/ID", ["name"]),
    ]

    @Test(
        "bodies that make no sense are refused by name, everywhere, and leave nothing",
        arguments: TestEngine.allCases
    )
    func bodies(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let before = try await node.rowCounts()
            for (method, template, fields) in Self.takingJSON {
                let path = template.replacing("ID", with: admin.userID)
                func send(_ body: [UInt8], type: String? = "application/json") async throws -> AuthNode.Answer {
                    var headers: HTTPFields = [.authorization: "Bearer \(admin.access)"]
                    if let type { headers[.contentType] = type }
                    let answer = try await node.client.execute(
                        uri: path,
                        method: method,
                        headers: headers,
                        body: ByteBuffer(bytes: body)
                    )
                    return Answer(answer)
                }
                func expect(_ answer: AuthNode.Answer, _ status: Int, _ code: String, _ what: String) {
                    #expect(answer.status == status && answer.code == code, "\(method) \(path) \(what): \(answer.text)")
                    #expect(answer.headers[.contentType] == "application/problem+json", "\(method) \(path) \(what)")
                    #expect(answer.headers[.cacheControl] == "no-store", "\(method) \(path) \(what)")
                }
                for (text, code) in [
                    ("{", "invalid_json"), ("nothing", "invalid_json"), ("{} {}", "invalid_json"),
                    (#"{"x":01}"#, "invalid_json"), (#"{"x":1,"x":1}"#, "json_duplicate_name"),
                    (#"{"x":"\u0000"}"#, "json_nul"), (#"{"x":"\ud800"}"#, "json_lone_surrogate"),
                    (String(repeating: "[", count: 65), "json_too_deep"),
                    (String(repeating: #"{"a":"#, count: 10_000), "json_too_deep"),
                ] { expect(try await send(Array(text.utf8)), 400, code, String(text.prefix(20))) }
                expect(try await send([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]), 400, "invalid_json", "no UTF-8")
                expect(try await send(Array(repeating: 0x20, count: 1 << 20)), 413, "body_too_large", "1 MiB")
                for type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
                    expect(try await send(Array("{}".utf8), type: type), 415, "unsupported_media_type", type)
                }
                expect(try await send(Array("{}".utf8), type: nil), 415, "unsupported_media_type", "no type")
                if path != "/v1/logout" { expect(try await send([]), 400, "body_missing", "no body") }
                for text in ["[]", "null", "1", #""x""#] {
                    let answer = try await send(Array(text.utf8))
                    expect(answer, 400, "validation_failed", text)
                    #expect(answer.json["errors"]?.array?.first?["field"]?.string == "(body)", "\(path) \(text)")
                }
                for field in fields {
                    let wrong =
                        field == "all" || field == "metadata" ? #""text""# : field.hasSuffix("ids") ? "{}" : "[7]"
                    let answer = try await send(Array(#"{"\#(field)":\#(wrong),"extra":{}}"#.utf8))
                    expect(answer, 400, "validation_failed", field)
                    let errors = (answer.json["errors"]?.array ?? []).map {
                        "\($0["field"]?.string ?? "") \($0["code"]?.string ?? "")"
                    }
                    #expect(errors.contains("\(field) wrong_type"), "\(path) \(answer.text)")
                    #expect(errors.contains("extra unknown_field"), "\(path) \(answer.text)")
                }
            }
            #expect(try await node.rowCounts() == before, "nothing is half-written")
            #expect(try await node.me(admin.access).status == 200)
        }
    }

    @Test(
        "queries, cursors and ids that make no sense are the caller's mistake, never ours",
        arguments: TestEngine.allCases
    )
    func queries(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let edges = [Int64.min, Int64.min + 1, -300_000_000_000_000_000, -1, 0, 1, 9_000_000_000_000_000_000, .max]
            let lists = [
                "/v1/me/sessions", "/v1/admin/users", "/v1/admin/sessions", "/v1/admin/users/\(admin.userID)/sessions",
            ]
            for path in lists {
                let name = path.hasSuffix("sessions") ? "sessions" : "users"
                var queries = [
                    "limit=0", "limit=-1", "limit=101", "limit=1000", "limit=99999999999999999999", "limit=",
                    "limit=1.0",
                    "after=", "before=", "after=%00", "after=AAAA", "after=%FF%FE",
                    "before=\(String(repeating: "A", count: 5000))",
                    "limit=%zz",
                ]
                for edge in edges {
                    for id in ["a", "", "~"] {
                        let cursor = Cursor(position: edge, id: id).encoded(for: name)
                        queries += ["after=\(cursor)", "before=\(cursor)"]
                    }
                }
                if path == "/v1/admin/users" {
                    queries += ["q=%00", "q=a%00b", "role=", "active=2", "active=", "q=%FF"]
                }
                if path == "/v1/admin/sessions" { queries += ["user_id=%00", "user_id=", "user_id=a/b", "ended=x"] }
                for query in queries {
                    let answer = try await node.send(.get, "\(path)?\(query)", token: admin.access)
                    #expect([200, 400].contains(answer.status), "\(path) \(query) \(answer.text)")
                    // Escapes that are none, or of what is no text, are refused before any value is read.
                    let isMalformed = ["%zz", "%FF", "%00"].contains { query.contains($0) }
                    if isMalformed { #expect(answer.code == "bad_request", "\(path) \(query)") }
                    if answer.status == 400, !isMalformed {
                        #expect(["validation_failed", "invalid_cursor"].contains(answer.code), "\(path) \(query)")
                    }
                }
                for query in ["limit=0", "limit=1000"] {
                    let answer = try await node.send(.get, "\(path)?\(query)", token: admin.access)
                    #expect(answer.json["errors"]?.array?.first?["field"]?.string == "limit", "\(path) \(query)")
                }
                #expect(try await node.send(.get, "\(path)?after=AAAA", token: admin.access).code == "invalid_cursor")
            }
            for (id, status) in [("%00", 400), ("%FF", 400), ("..%2F", 400), ("a%2Fb", 404), ("%20", 404)] {
                for (method, path) in node.operations(id: id) where path.contains("%") {
                    let body = method == .patch ? #"{"name":"x"}"# : nil
                    let answer = try await node.send(method, path, body, token: admin.access)
                    #expect(answer.status == status, "\(method) \(path) \(answer.text)")
                }
            }
        }
    }
}
