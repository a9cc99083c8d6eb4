// After a change of Argon2's parameters an address that no user has costs what one of the users' hashes costs.
import AuthService
import PasswordHashing
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Costs of unknown addresses")
struct PasswordCostTests {
    private static let old = Argon2Parameters(memoryKiB: 64, iterations: 1, parallelism: 1)
    private static let new = Argon2Parameters(memoryKiB: 128, iterations: 2, parallelism: 1)

    /// Runs `body` against a node with the old parameters and one with the new ones, on the same rows.
    private func withNodes(
        _ engine: TestEngine,
        _ body: @Sendable @escaping (_ before: AuthNode, _ after: AuthNode) async throws -> Void
    ) async throws {
        try await withDatabase(engine, service: "auth") { database async throws in
            let clock = TestClock(step: .microseconds(1))
            var configuration = try AuthNode.configuration()
            configuration.argon2 = Self.old
            var later = configuration
            later.argon2 = Self.new
            let changed = later
            try await AuthNode.serve(configuration, on: database, clock) { before in
                try await AuthNode.serve(changed, on: database, clock) { after in try await body(before, after) }
            }
        }
    }

    private func costs(_ node: AuthNode, _ emails: [String]) async throws -> [String] {
        _ = node.barrier.takeCosts()
        for email in emails { #expect(try await node.logInAnswer(email, password: "wrong password").status == 401) }
        return node.barrier.takeCosts()
    }

    @Test("unknown addresses cost what the stored hashes do, as often as those", arguments: TestEngine.allCases)
    func drawn(engine: TestEngine) async throws {
        try await withNodes(engine) { before, after in
            let users = (0..<6).map { "user\($0)@example.com" }
            for email in users { _ = try await before.signUp(email) }
            let strangers = (0..<40).map { "stranger\($0)@example.com" }
            #expect(Set(try await costs(after, strangers)) == ["new"], "nothing was counted")

            try await after.service.passwordCosts.maintain()
            let stored = Set(try await costs(after, users))
            #expect(stored.count == 1)
            #expect(Set(try await costs(after, strangers)) == stored, "as before the change")

            // Half of the users sign in and have the new cost.
            for email in users.prefix(3) { #expect(try await after.logInAnswer(email).status == 200) }
            after.clock.advance(.seconds(3601))
            try await after.service.passwordCosts.maintain()
            let mixed = try await costs(after, strangers)
            let known = try await costs(after, users)
            #expect(Set(mixed) == Set(known) && Set(known).count == 2)
            let moved = mixed.count { !stored.contains($0) }
            #expect((4...36).contains(moved), "about half: \(moved)")

            // One address, always one cost: on each node, in each spelling, after each count.
            try await before.service.passwordCosts.load()
            #expect(try await costs(before, strangers) == mixed)
            #expect(try await costs(after, strangers.map { " \($0.uppercased())" }) == mixed)
            after.clock.advance(.seconds(3601))
            try await after.service.passwordCosts.maintain()
            #expect(try await costs(after, strangers) == mixed)
            // No address goes back while users move on.
            for email in users.dropFirst(3) { #expect(try await after.logInAnswer(email).status == 200) }
            after.clock.advance(.seconds(3601))
            try await after.service.passwordCosts.maintain()
            #expect(Set(try await costs(after, strangers)) == Set(known).subtracting(stored))
        }
    }

    @Test("a password that is too long costs what a wrong one does", arguments: TestEngine.allCases)
    func long(engine: TestEngine) async throws {
        try await withNodes(engine) { before, after in
            _ = try await before.signUp()
            let usual = try await costs(after, ["ada@example.com"])
            let long = String(repeating: "x", count: 2000)
            #expect(try await after.logInAnswer(password: long).code == "invalid_credentials")
            #expect(after.barrier.takeCosts() == usual)
        }
    }

    @Test("one node counts in an hour, and a login counts nothing", arguments: TestEngine.allCases)
    func maintenance(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, counting: true) { node in
            let counting = try #require(node.database as? CountingDatabase)
            _ = try await node.signUp()
            try await node.service.passwordCosts.maintain()
            counting.forget()
            for _ in 0..<3 { try await node.service.passwordCosts.maintain() }
            #expect(!counting.transactions.contains { $0.contains("password_costs.page") })
            counting.forget()
            _ = try await node.logInAnswer("nobody@example.com")
            #expect(!counting.transactions.flatMap(\.self).contains { $0.hasPrefix("password_costs.") })
            node.clock.advance(.seconds(3601))
            counting.forget()
            try await node.service.passwordCosts.maintain()
            #expect(counting.transactions.count { $0.contains("password_costs.page") } == 1)
        }
    }
}
