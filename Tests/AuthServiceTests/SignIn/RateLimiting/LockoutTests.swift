// While an account's delay runs the owner gets in, and a guesser has no more guesses than are promised.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Lockout")
struct LockoutTests {
    @Test("a slow guesser from many networks does not lock the owner out", arguments: TestEngine.allCases)
    func owner(engine: TestEngine) async throws {
        try await withAttacked(engine) { attacked in
            let marker = try await attacked.marker()
            try await attacked.delay()
            for round in 0..<30 {
                // The guesser is there whenever the delay ends, and spends what networks without a failure may.
                attacked.node.clock.advance(.seconds(300))
                for network in 0..<3 { _ = try await attacked.guess(from: "203.0.\(round).\(network + 1)") }
                guard round.isMultiple(of: 10) else { continue }
                #expect(try await attacked.logIn(from: Attacked.tainted).code == "rate_limited", "round \(round)")
                let owner = try await attacked.logIn(from: Attacked.tainted, device: marker)
                #expect(owner.status == 200, "round \(round): \(owner.text)")
            }
        }
    }

    @Test("a network without a failure is judged once, and again after a success", arguments: TestEngine.allCases)
    func network(engine: TestEngine) async throws {
        try await withAttacked(engine) { attacked in
            try await attacked.delay()
            for _ in 0..<3 { #expect(try await attacked.logIn(from: "192.0.2.9").status == 200) }
            #expect(try await attacked.guess(from: "192.0.2.9").code == "invalid_credentials")
            #expect(try await attacked.logIn(from: "192.0.2.9").code == "rate_limited")
            // The owner's success did not end the guesser's delay.
            #expect(try await attacked.logIn(from: Attacked.tainted).code == "rate_limited")
            // A failure on any account is one.
            _ = try await attacked.guess("nobody@example.com", from: "192.0.2.10")
            #expect(try await attacked.logIn(from: "192.0.2.10").code == "rate_limited")
            attacked.node.clock.advance(.seconds(86_401))
            try await attacked.delay()
            #expect(try await attacked.logIn(from: "192.0.2.9").status == 200, "a day has passed")
        }
    }

    @Test(
        "over all networks at once twenty are judged in an hour and a hundred in a day, for unknown addresses too",
        arguments: TestEngine.allCases,
        [Attacked.email, "nobody@example.com"]
    )
    func caps(engine: TestEngine, email: String) async throws {
        try await withAttacked(engine) { attacked in
            for hour in 0..<7 {
                try await attacked.delay(email, from: "198.51.100.\(hour + 1)")
                let answers = try await inParallel(40) { index in
                    try await attacked.guess(email, from: "10.\(hour).\(index).1")
                }
                let judged = answers.count { $0.code == "invalid_credentials" }
                #expect(judged == (hour < 5 ? 20 : 0), "hour \(hour)")
                #expect(answers.count { $0.code == "rate_limited" } == 40 - judged)
                attacked.node.clock.advance(.seconds(3601))
            }
            attacked.node.clock.advance(.seconds(18 * 3600))
            try await attacked.delay(email, from: "198.51.100.99")
            #expect(try await attacked.guess(email, from: "10.99.1.1").code == "invalid_credentials")
        }
    }

    @Test(
        "a marker is good for ten guesses an hour, also at once, and no other device's",
        arguments: TestEngine.allCases
    )
    func devices(engine: TestEngine) async throws {
        try await withAttacked(engine) { attacked in
            let markers = (try await attacked.marker(), try await attacked.marker())
            try await attacked.delay()
            let answers = try await inParallel(25) { _ in
                try await attacked.guess(from: Attacked.tainted, device: markers.0)
            }
            #expect(answers.count { $0.code == "invalid_credentials" } == 10)
            #expect(answers.count { $0.code == "rate_limited" } == 15)
            #expect(try await attacked.logIn(from: Attacked.tainted, device: markers.0).code == "rate_limited")
            #expect(try await attacked.logIn(from: Attacked.tainted, device: markers.1).status == 200)
            attacked.node.clock.advance(.seconds(3601))
            try await attacked.delay()
            #expect(try await attacked.logIn(from: Attacked.tainted, device: markers.0).status == 200)
        }
    }

    @Test("an answer of 503 is no guess, on any counter", arguments: TestEngine.allCases)
    func overloaded(engine: TestEngine) async throws {
        try await withAttacked(engine) { attacked in
            let marker = try await attacked.marker()
            func overload(_ count: Int, from address: String, device: String? = nil) async throws {
                attacked.node.barrier.refuseHashes(true)
                let answers = try await inParallel(count) { _ in
                    try await attacked.logIn(from: address, device: device)
                }
                attacked.node.barrier.refuseHashes(false)
                // Of those sent at once some may find the counter full of the others.
                #expect(answers.contains { $0.code == "hashing_overloaded" })
                #expect(answers.allSatisfy { ["hashing_overloaded", "rate_limited"].contains($0.code) })
            }
            for _ in 0..<3 { try await overload(8, from: Attacked.tainted) }
            try await attacked.delay()
            for _ in 0..<3 { try await overload(8, from: Attacked.tainted, device: marker) }
            #expect(try await attacked.logIn(from: Attacked.tainted, device: marker).status == 200)
            for _ in 0..<30 { try await overload(1, from: "192.0.2.9") }
            #expect(try await attacked.logIn(from: "192.0.2.9").status == 200)
            let left = try await attacked.node.query(
                "SELECT count FROM rate_counters WHERE key LIKE 'login:account:%:hour'"
            )
            #expect(try left.map { try $0.integer("count") } == [1])
        }
    }

    @Test("a change of password and a login do not delay each other", arguments: TestEngine.allCases)
    func passwordChange(engine: TestEngine) async throws {
        try await withAttacked(engine) { attacked in
            let node = attacked.node
            let ada = try await node.logIn(Attacked.email)
            func change(_ current: String, to new: String = "another long password") async throws -> Answer {
                let body = #"{"current_password":"\#(current)","password":"\#(new)"}"#
                return try await node.send(.post, "/v1/password/change", body, token: ada.access)
            }
            // A new password that is refused says that the current one was right: no guess.
            for _ in 0..<12 {
                #expect(try await change(AuthNode.password, to: "short").violations == ["password too_short"])
            }
            node.barrier.refuseHashes(true)
            for _ in 0..<12 { #expect(try await change("wrong password").code == "hashing_overloaded") }
            node.barrier.refuseHashes(false)
            for _ in 0..<10 {
                let wrong = try await change("wrong password")
                #expect(wrong.status == 400 && wrong.violations == ["current_password incorrect"], "\(wrong.text)")
            }
            #expect(try await change("wrong password").code == "rate_limited")
            try await attacked.delay()
            node.clock.advance(.seconds(1))
            #expect(try await change(AuthNode.password).status == 204)
        }
    }
}
