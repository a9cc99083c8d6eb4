// The marker of a device: who gets it, what it is worth, and when it ends.
import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Devices")
struct DeviceTests {
    private static let login = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
    private static let own: HTTPFields = [.origin: "https://auth.test"]

    @Test("a complete sign-in gives the marker, in a cookie or in the body", arguments: TestEngine.allCases)
    func forms(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            for path in ["signup", "login"] {
                let email = path == "signup" ? "eve@example.com" : "ada@example.com"
                if path == "login" { _ = try await node.signUp(email) }
                let body = #"{"email":"\#(email)","password":"\#(AuthNode.password)"}"#
                if path == "login" {
                    let answer = try await node.send(.post, "/v1/login", body)
                    #expect(answer.json["device_token"]?.string?.hasPrefix("tsd_") == true, "\(answer.text)")
                    #expect(answer.headers[.setCookie] == nil)
                }
                let answer = try await node.send(.post, "/v1/\(path)?cookie=true", body, headers: Self.own)
                #expect(answer.json["device_token"] == nil && answer.json["refresh_token"] == nil)
                let cookies = answer.headers[values: .setCookie]
                #expect(cookies.count == 2, "\(cookies)")
                let device = try #require(cookies.last)
                #expect(device.hasPrefix("__Host-tessera_device=tsd_"))
                for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=15552000"] {
                    #expect(device.contains("; \(attribute)"), "\(device)")
                }
                #expect(!device.contains("Domain"))
            }
            // A refresh is no sign-in, and neither is a refused one.
            let ada = try await node.logIn()
            #expect(try await node.refresh(ada.refresh).json["device_token"] == nil)
            let before = try await node.count("devices")
            #expect(try await node.logInAnswer(password: "wrong password").json["device_token"] == nil)
            #expect(try await node.count("devices") == before)
        }
        try await withNode(engine, NodeOptions(publicURL: "http://127.0.0.1:8080")) { node in
            let headers: HTTPFields = [.origin: "http://127.0.0.1:8080"]
            let answer = try await node.send(.post, "/v1/signup?cookie=true", Self.login, headers: headers)
            let device = try #require(answer.headers[values: .setCookie].last)
            #expect(device.hasPrefix("tessera_device=") && !device.contains("Secure"))
        }
    }

    @Test("a device stays one row, whoever signs in there next gets another", arguments: TestEngine.allCases)
    func rows(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            for email in ["ada@example.com", "eve@example.com"] { _ = try await node.signUp(email) }
            func logIn(_ email: String, _ device: String?) async throws -> String {
                let marker = device.map { #","device_token":"\#($0)""# } ?? ""
                let body = #"{"email":"\#(email)","password":"\#(AuthNode.password)"\#(marker)}"#
                let answer = try await node.send(.post, "/v1/login", body)
                return try #require(answer.json["device_token"]?.string, "\(answer.text)")
            }
            try await node.execute("DELETE FROM devices")
            let first = try await logIn("ada@example.com", nil)
            node.clock.advance(.seconds(60))
            let again = try await logIn("ada@example.com", first)
            #expect(again != first, "it has a new date")
            #expect(try await node.count("devices") == 1)
            _ = try await logIn("eve@example.com", again)
            #expect(try await node.count("devices") == 2)
            let users = try await node.query("SELECT DISTINCT user_id FROM devices")
            #expect(users.count == 2)
            // One that has ended does not come back.
            try await node.execute("DELETE FROM devices")
            _ = try await logIn("ada@example.com", again)
            let ids = try await node.query("SELECT id FROM devices").map { try $0.text("id") }
            let old = try #require(Base64URL.decode(String(again.dropFirst(4))))
            #expect(ids.count == 1 && ids.first != Hex.encode(Array(old[1..<17])))
        }
    }

    @Test("a user has twenty devices, and one that is unused goes after 180 days", arguments: TestEngine.allCases)
    func bounds(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let oldest = try await node.query("SELECT id FROM devices").map { try $0.text("id") }
            for _ in 0..<25 { _ = try await node.logIn() }
            #expect(try await node.count("devices WHERE user_id = '\(ada.userID)'") == 20)
            #expect(try await node.count("devices WHERE id = '\(try #require(oldest.first))'") == 0)
            node.clock.advance(.seconds(180 * 86_400 - 60))
            _ = try await node.logIn()
            _ = try await node.service.cleanup.run()
            #expect(try await node.count("devices") == 20)
            node.clock.advance(.seconds(120))
            _ = try await node.service.cleanup.run()
            #expect(try await node.count("devices") == 1)
        }
    }

    @Test(
        "while the delay runs a marker of another user, and a forged, expired or ended one, is worth nothing",
        arguments: TestEngine.allCases
    )
    func worthless(engine: TestEngine) async throws {
        try await withAttacked(engine) { attacked in
            let node = attacked.node
            _ = try await node.signUp("eve@example.com")
            let old = try await attacked.marker()
            node.clock.advance(.seconds(180 * 86_400))
            let (good, others) = (try await attacked.marker(), try await attacked.marker("eve@example.com"))
            let admin = try await node.makeAdmin()
            let ended = try await attacked.marker()
            let bytes = try #require(Base64URL.decode(String(good.dropFirst(4))))
            let theirs = try #require(Base64URL.decode(String(others.dropFirst(4))))
            func text(_ bytes: [UInt8]) -> String { "tsd_\(Base64URL.encode(bytes))" }
            var bad = [
                others, old, "", "tsd_", "x", "tsr_\(good.dropFirst(4))", "\(good)A", String(good.dropLast()),
                // The user of one with the code of the other.
                text(Array(bytes.prefix(57) + theirs.dropFirst(57))),
                text(Array(theirs.prefix(57) + bytes.dropFirst(57))),
                text(bytes.dropLast(bytes.count - 57)),
            ]
            for index in bytes.indices {
                var forged = bytes
                forged[index] ^= 1 << UInt8(index % 8)
                bad.append(text(forged))
            }
            try await attacked.delay()
            let without = try await attacked.logIn(from: Attacked.tainted)
            for marker in bad {
                let answer = try await attacked.logIn(from: Attacked.tainted, device: marker)
                #expect(answer.comparable == without.comparable, "\(marker)")
            }
            #expect(try await attacked.logIn(from: Attacked.tainted, device: good).status == 200)

            let path = "/v1/admin/users/\(try await node.logIn("eve@example.com").userID)"
            #expect(try await node.send(.post, "\(path)/deactivate", token: admin.access).status == 200)
            #expect(try await node.send(.post, "\(path)/reactivate", token: admin.access).status == 200)
            try await attacked.delay("eve@example.com")
            let after = try await attacked.logIn("eve@example.com", from: Attacked.tainted, device: others)
            #expect(after.code == "rate_limited", "deactivation ended it")
            try await node.execute("DELETE FROM devices WHERE user_id <> ''")
            #expect(try await attacked.logIn(from: Attacked.tainted, device: ended).code == "rate_limited")
        }
    }

    @Test("no answer tells whether a marker was good", arguments: TestEngine.allCases)
    func silent(engine: TestEngine) async throws {
        try await withAttacked(engine) { attacked in
            _ = try await attacked.node.signUp("eve@example.com")
            let others = try await attacked.marker("eve@example.com")
            let good = try await attacked.marker()
            let markers = [nil, good, others, "tsd_AAAA", "nonsense"]
            var (wrong, names) = (Set<String>(), Set<[String]>())
            for marker in markers {
                wrong.insert(try await attacked.guess(from: "192.0.2.7", device: marker).comparable)
                let right = try await attacked.logIn(from: "192.0.2.7", device: marker)
                names.insert(right.json.names + right.headers.map(\.name.rawName).sorted())
                #expect(right.json["device_token"]?.string?.count == good.count)
            }
            #expect(wrong.count == 1, "\(wrong)")
            #expect(names.count == 1, "\(names)")
        }
    }

    @Test("a marker in a cookie counts where the session's cookie is set", arguments: TestEngine.allCases)
    func cookies(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            _ = try await node.signUp()
            let first = try await node.send(.post, "/v1/login?cookie=true", Self.login, headers: Self.own)
            let pair = String(try #require(first.headers[values: .setCookie].last).prefix { $0 != ";" })
            for _ in 0..<11 { _ = try await node.logInAnswer(password: "wrong password") }
            var headers = Self.own
            #expect(
                try await node.send(.post, "/v1/login?cookie=true", Self.login, headers: headers).code == "rate_limited"
            )
            headers[.cookie] = pair
            #expect(try await node.send(.post, "/v1/login", Self.login, headers: headers).code == "rate_limited")
            #expect(
                try await node.send(.post, "/v1/login?cookie=true", Self.login, headers: headers).status == 200
            )
            headers[.cookie] = "\(pair); \(pair)"
            let twice = try await node.send(.post, "/v1/login?cookie=true", Self.login, headers: headers)
            #expect(twice.code == "rate_limited", "two of the name")
            headers[.cookie] = pair
            headers[.origin] = "https://evil.test"
            let foreign = try await node.send(.post, "/v1/login?cookie=true", Self.login, headers: headers)
            #expect(foreign.code == "csrf_refused")
        }
    }

    @Test("markers stay good while the ring is rolled, and end with their key", arguments: TestEngine.allCases)
    func rolling(engine: TestEngine) async throws {
        let rings = [AuthNode.ring(1), AuthNode.ring(2), AuthNode.ring(2, first: 1), AuthNode.ring(1, first: 0)]
        try await withSeparateNodes(engine, rings: rings, configure: { $0.rateLimits = true }) { nodes in
            _ = try await nodes[0].signUp()
            func marker(_ node: AuthNode) async throws -> String {
                try #require(try await node.logInAnswer().json["device_token"]?.string)
            }
            let (old, new) = (try await marker(nodes[0]), try await marker(nodes[2]))
            #expect(
                Base64URL.decode(String(old.dropFirst(4)))?.first != Base64URL.decode(String(new.dropFirst(4)))?.first
            )
            for _ in 0..<11 { _ = try await nodes[1].logInAnswer(password: "wrong password") }
            func logIn(_ node: AuthNode, _ device: String) async throws -> String? {
                let body = Self.login.dropLast() + #","device_token":"\#(device)"}"#
                let answer = try await node.send(.post, "/v1/login", String(body))
                return answer.code ?? "\(answer.status)"
            }
            for node in nodes[0...2] { #expect(try await logIn(node, old) == "200") }
            for node in nodes[1...2] { #expect(try await logIn(node, new) == "200") }
            #expect(try await logIn(nodes[3], new) == "rate_limited", "its key is not in that ring")
        }
    }

    @Test("deleting oneself clears the device's cookie", arguments: TestEngine.allCases)
    func deletion(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let answer = try await node.send(.post, "/v1/signup?cookie=true", Self.login, headers: Self.own)
            var headers = Self.own
            headers[.cookie] = answer.headers[values: .setCookie].map { String($0.prefix { $0 != ";" }) }
                .joined(separator: "; ")
            let gone = try await node.send(.delete, "/v1/me", headers: headers)
            #expect(gone.status == 204)
            let cleared = gone.headers[values: .setCookie]
            #expect(cleared.count == 2 && cleared.allSatisfy { $0.contains("Max-Age=0") }, "\(cleared)")
            #expect(try await node.count("devices") == 0)
        }
    }
}
