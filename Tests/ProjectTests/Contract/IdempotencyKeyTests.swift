// Which operations of admins take an `Idempotency-Key`: every write, unless its answer holds a secret.
import HTTPTypes
import Testing

@testable import AuthService

@Suite("Idempotency-Key in the contract")
struct IdempotencyKeyTests {
    private static let methods: [(name: String, method: HTTPRequest.Method)] = [
        ("post", .post), ("put", .put), ("patch", .patch), ("delete", .delete),
    ]

    @Test("each write of admins names the key, and what shows a secret refuses it")
    func named() throws {
        let contract = try Contract()
        var count = 0
        for (path, item) in contract.paths where path.hasPrefix("/v1/admin/") {
            for (name, method) in Self.methods {
                guard let operation = item[name] as? [String: Any] else { continue }
                let parameters = (operation["parameters"] as? [[String: Any]] ?? []).map(contract.resolve)
                let takesKey = parameters.contains { $0["name"] as? String == "Idempotency-Key" }
                #expect(takesKey == !IdempotencyMiddleware.showsSecret(method, path), "\(name) \(path)")
                count += 1
            }
        }
        #expect(count > 10)
    }

    @Test("an operation whose answer has a secret in its example is one that refuses the key")
    func secrets() throws {
        let contract = try Contract()
        for (path, item) in contract.paths where path.hasPrefix("/v1/admin/") {
            for (name, method) in Self.methods {
                guard let operation = item[name] as? [String: Any],
                    let answers = operation["responses"] as? [String: [String: Any]]
                else { continue }
                let shown = answers.filter { $0.key.hasPrefix("2") }.map { "\(contract.resolve($0.value))" }
                guard shown.contains(where: { $0.contains("tcs_") }) else { continue }
                #expect(IdempotencyMiddleware.showsSecret(method, path), "\(name) \(path)")
            }
        }
    }

    @Test("an answer that shows a user is known by its path")
    func users() {
        typealias Shown = IdempotencyMiddleware.ShownUser
        let cases: [(HTTPRequest.Method, String, Shown)] = [
            (.post, "/v1/admin/users", .made), (.patch, "/v1/admin/users/u", .named("u")),
            (.post, "/v1/admin/users/u/deactivate", .named("u")), (.post, "/v1/admin/users/u/reactivate", .named("u")),
            (.delete, "/v1/admin/users/u", .none), (.delete, "/v1/admin/users/u/sessions", .none),
            (.post, "/v1/admin/sessions/revoke", .none), (.patch, "/v1/admin/clients/u", .none),
        ]
        for (method, path, shown) in cases {
            #expect(IdempotencyMiddleware.user(method, path) == shown, "\(method) \(path)")
        }
    }
}
