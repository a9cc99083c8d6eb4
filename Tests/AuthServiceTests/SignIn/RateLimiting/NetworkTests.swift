import AuthService
import HTTPTypes
import PasswordHashing
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Networks")
struct NetworkTests {
    private func forwarded(_ value: String) -> HTTPFields { [.forwardedFor: value] }

    @Test("a session remembers the client that the trusted proxy names, else the peer", arguments: TestEngine.allCases)
    func address(engine: TestEngine) async throws {
        let login = #"{"email":"ada@example.com","password":"\#(AuthNode.password)"}"#
        for (proxies, address) in [(["127.0.0.0/8"], "203.0.113.9"), ([], "127.0.0.1")] {
            try await withConfiguredNode(engine, overSocket: true) {
                $0.trustedProxies = proxies.compactMap(IPNetwork.init)
            } _: { node in
                _ = try await node.signUp()
                var headers = forwarded("6.6.6.6, 203.0.113.9")
                headers[.userAgent] = "curl/8"
                let answer = try await node.send(.post, "/v1/login", login, headers: headers)
                #expect(answer.json["session"]?["ip_address"]?.string == address)
                #expect(answer.json["session"]?["user_agent"]?.string == "curl/8")
                #expect(
                    try await node.count("audit_log WHERE action = 'session.login' AND ip_address = '\(address)'") > 0
                )
            }
        }
    }

    @Test(
        "each network has its own count, and a forged header moves nobody into another",
        arguments: TestEngine.allCases
    )
    func counts(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true) {
            $0.rateLimits = true
            $0.trustedProxies = [IPNetwork("127.0.0.1")].compactMap(\.self)
        } _: { node in
            @Sendable func guess(_ forwarded: String) async throws -> Int {
                let body = #"{"refresh_token":"tsr_guess"}"#
                return try await node.send(.post, "/v1/token/refresh", body, headers: [.forwardedFor: forwarded]).status
            }
            // The entries left of the client's own address are forged, different each time.
            let statuses = try await inParallel(300) { try await guess("198.51.100.\($0 % 250), 203.0.113.9") }
            #expect(statuses.allSatisfy { $0 == 401 })
            #expect(try await guess("198.51.100.251, 203.0.113.9") == 429)
            #expect(try await guess("::ffff:203.0.113.9") == 429, "one client, however its address is written")
            #expect(try await guess("203.0.113.10") == 401)

            // An IPv6 customer has a whole /64.
            let household = try await inParallel(300) { try await guess("2001:db8:0:1::\(String($0 + 1, radix: 16))") }
            #expect(household.allSatisfy { $0 == 401 })
            #expect(try await guess("2001:DB8:0:1:ffff:ffff:ffff:ffff") == 429)
            #expect(try await guess("2001:db8:0:2::1") == 401)
        }
    }

    @Test("signups and logins of one network are counted, and the window ends", arguments: TestEngine.allCases)
    func openEndpoints(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            for (path, limit) in [("/v1/signup", 300), ("/v1/login", 600)] {
                // Counted before the body is read: a refused body is a request too.
                let answers = try await inParallel(limit + 10) { _ in try await node.send(.post, path, "{}") }
                #expect(answers.filter { $0.status == 400 }.count == limit, "\(path)")
                #expect(answers.filter { $0.code == "rate_limited" }.count == 10, "\(path)")
                let limited = try await node.send(.post, path, "{}")
                let wait = try #require(limited.headers[.retryAfter].flatMap(Int.init))
                #expect((1...60).contains(wait))
                node.clock.advance(.seconds(wait))
                #expect(try await node.send(.post, path, "{}").status == 400, "\(path) after the wait it was told")
            }
        }
    }

    @Test(
        "delays on one account grow, pass by the wait that was told, and are never for ever",
        arguments: TestEngine.allCases
    )
    func delays(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            _ = try await node.signUp()
            for _ in 0..<10 { _ = try await node.logInAnswer(password: "wrong password") }
            var waits: [Int] = []
            for _ in 0..<8 {
                let limited = try await node.logInAnswer(password: "wrong password")
                #expect(limited.status == 429)
                let wait = try #require(limited.headers[.retryAfter].flatMap(Int.init))
                waits.append(wait)
                node.clock.advance(.seconds(wait))
                #expect(try await node.logInAnswer(password: "wrong password").status == 401, "one guess a wait")
            }
            #expect(waits == waits.sorted() && (waits.first ?? 0) <= 1 && waits.last == 300, "\(waits)")
            node.clock.advance(.seconds(300))
            #expect(try await node.logInAnswer().status == 200, "the owner gets in")
            for _ in 0..<9 { #expect(try await node.logInAnswer(password: "wrong password").status == 401) }
            #expect(try await node.logInAnswer().status == 200, "a success has forgotten the guesses before it")
        }
    }

    @Test("a stolen access token is no way to guess the password without limit", arguments: TestEngine.allCases)
    func passwordChange(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node in
            let ada = try await node.signUp()
            let guess = #"{"current_password":"wrong password","password":"another long password"}"#
            let answers = try await inParallel(20) { _ in
                try await node.send(.post, "/v1/password/change", guess, token: ada.access)
            }
            #expect(answers.filter { $0.violations == ["current_password incorrect"] }.count == 10)
            #expect(answers.filter { $0.status == 429 }.count == 10)
            #expect(try await node.logInAnswer().status == 200, "a login has another counter")
        }
    }

    @Test(
        "an address that nobody has costs a hash like any other, and a full line says so at once",
        arguments: TestEngine.allCases
    )
    func unknownAddressesCost(engine: TestEngine) async throws {
        try await withConfiguredNode(engine) {
            $0.argon2 = Argon2Parameters(memoryKiB: 16 * 1024, iterations: 2, parallelism: 1)
            $0.hashThreads = 1
            $0.hashQueue = 0
        } _: { node in
            _ = try await node.signUp()
            for email in ["ada@example.com", "nobody@example.com", "no address at all"] {
                // One thread and no queue: of many concurrent requests, those that need a hash find it busy.
                let answers = try await inParallel(32) { _ in
                    try await node.logInAnswer(email, password: "wrong password")
                }
                let busy = answers.filter { $0.status == 503 }
                #expect(!busy.isEmpty, "\(email)")
                #expect(busy.allSatisfy { $0.code == "hashing_overloaded" && $0.headers[.retryAfter] != nil })
                #expect(answers.contains { $0.code == "invalid_credentials" }, "\(email)")
                #expect(busy.count + answers.filter { $0.status == 401 }.count == 32)
            }
            #expect(try await node.send(.get, "/healthz").status == 200)
        }
    }
}
