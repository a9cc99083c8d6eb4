// While auth is down, a verifier must never accept again what was revoked.
import Foundation
import TestSupport
import Testing

@Suite("Trust while auth fails", .timeLimit(.minutes(15)))
struct TrustFaultTests {
    @Test("auth killed and restarted while tokens are being revoked: none that was refused is ever accepted again")
    func killed() async throws {
        let fleet = try await TrustFleet()
        var auth = try await fleet.installation.startAuth()
        let others = [try await fleet.startSecond(), try await fleet.startChat(), try await fleet.startExample()]
        try await fleet.untilFollowersAreReady()
        let admin = try await fleet.installation.makeAdmin()
        let second = fleet.second.client
        var victims: [Victim] = []
        for _ in 0..<10 { victims.append(try await fleet.makeVictim()) }
        let staying = try await fleet.makeVictim()

        let watch = TokenWatch(fleet.all, doomed: victims.map(\.token), good: [staying.token, admin])
        try await watch.during {
            for (number, victim) in victims.enumerated() {
                let ending = Ending.allCases[number % Ending.allCases.count]
                switch number % 5 {
                case 1:
                    // Killed during a revocation by another node.
                    async let over: Void = fleet.end(victim, by: ending, at: second, admin: admin)
                    auth.kill()
                    try await over
                    _ = try await auth.waitForExit()
                case 3:
                    async let over: Void = fleet.end(victim, by: ending, at: second, admin: admin)
                    auth = try await fleet.installation.startAuth()
                    try await over
                default:
                    try await fleet.end(victim, by: ending, at: second, admin: admin)
                }
            }
            try await fleet.untilAllKnow()
            try await expect(.refused, of: victims.map(\.token), by: fleet.all)
            // Again, without anything new: what is known stays known.
            auth.kill()
            _ = try await auth.waitForExit()
            try await expect(.refused, of: victims.map(\.token), by: fleet.all)
            auth = try await fleet.installation.startAuth()
            try await fleet.untilAllKnow()
            try await expect(.refused, of: victims.map(\.token), by: fleet.all)
            try await expect(.accepted, of: [staying.token], by: fleet.all)
        }
        #expect(watch.wrongs == [])
        #expect(watch.answers > 50)
        for process in others + [auth] { #expect(try await process.terminate() == .status(0)) }
    }

    @Test(
        "the feed cut or silent, and keys rotated meanwhile: what was revoked is refused afterwards, no good one ever"
    )
    func cut() async throws {
        let fleet = try await TrustFleet()
        let auth = try await fleet.installation.startAuth()
        let others = [try await fleet.startSecond(), try await fleet.startChat(), try await fleet.startExample()]
        try await fleet.untilFollowersAreReady()
        let admin = try await fleet.installation.makeAdmin()
        let (first, second, staying) = (
            try await fleet.makeVictim(), try await fleet.makeVictim(), try await fleet.makeVictim()
        )
        for victim in [first, second, staying] { try await expect(.accepted, of: [victim.token], by: fleet.all) }

        let watch = TokenWatch(fleet.all, doomed: [first.token, second.token], good: [staying.token, admin])
        try await watch.during {
            try await fleet.proxy.cut()
            try await fleet.end(first, by: .session, at: fleet.installation.auth, admin: admin)
            // They do not know of it, and serve as configured.
            try await expect(.accepted, of: [first.token], by: fleet.followers)
            // The next key was published before, so its signatures are accepted without auth.
            #expect(try await fleet.installation.auth.post("/v1/admin/keys/rotate", token: admin).status == 200)
            let fresh = try await fleet.makeVictim()
            #expect(keyID(of: fresh.token) != keyID(of: staying.token))
            try await expect(.accepted, of: [fresh.token, staying.token], by: fleet.all)
            try await fleet.proxy.restore()
            try await fleet.untilAllKnow()
            try await expect(.refused, of: [first.token], by: fleet.all)

            try await fleet.proxy.goSilent()
            try await fleet.end(second, by: .role, at: fleet.installation.auth, admin: admin)
            try await expect(.accepted, of: [second.token], by: fleet.followers)
            fleet.proxy.resume()
            try await fleet.untilAllKnow()
            try await expect(.refused, of: [first.token, second.token], by: fleet.all)
            try await expect(.accepted, of: [fresh.token, staying.token], by: fleet.all)

            // A stolen key and its tokens are refused at once; tokens of the new, unannounced key are accepted.
            let stolen = try #require(keyID(of: fresh.token))
            try await fleet.installation.run("keys", "retire", stolen, "--compromised")
            for judge in fleet.all {
                try await eventually("\(judge.name) refuses the stolen key") {
                    try await judge.verdict(on: fresh.token) == .refused
                }
            }
            try await eventually("auth signs with a key that is good") {
                let login = try await fleet.makeVictim()
                guard keyID(of: login.token) != stolen else { return false }
                try await expect(.accepted, of: [login.token], by: fleet.all)
                return true
            }
        }
        #expect(watch.wrongs == [])
        for process in others + [auth] { #expect(try await process.terminate() == .status(0)) }
    }

    @Test("the stale policy does what it says: serve until the token expires, or refuse when stale for longer")
    func policies() async throws {
        let lifetime = 40
        let fleet = try await TrustFleet(["TESSERA_ACCESS_TOKEN_TTL": "\(lifetime)s"])
        var auth = try await fleet.installation.startAuth()
        let serving = [try await fleet.startChat(stale: "serve"), try await fleet.startExample(stale: "serve")]
        try await fleet.untilFollowersAreReady()
        let begin = ContinuousClock.now
        let token = try await fleet.makeVictim().token
        try await expect(.accepted, of: [token], by: fleet.followers)
        auth.kill()
        _ = try await auth.waitForExit()
        for judge in fleet.followers {
            var accepted = 0
            try await eventually(within: .seconds(lifetime + 60), "\(judge.name) refuses what has expired") {
                let verdict = try await judge.verdict(on: token)
                // Lifetimes are shortened by up to a twentieth, and times are in whole seconds.
                if ContinuousClock.now < begin + .seconds(lifetime - 4) {
                    #expect(verdict == .accepted)
                    accepted += 1
                }
                return verdict == .refused
            }
            #expect(accepted > 0 || judge.name != fleet.followers.first?.name)
            #expect(try await judge.client.get("/readyz").status == 200)
        }
        for process in serving { #expect(try await process.terminate() == .status(0)) }

        auth = try await fleet.installation.startAuth()
        let strict = [try await fleet.startChat(stale: "1s"), try await fleet.startExample(stale: "1")]
        try await fleet.untilFollowersAreReady()
        try await expect(.accepted, of: [try await fleet.makeVictim().token], by: fleet.followers)
        let second = try await fleet.startSecond()
        auth.kill()
        _ = try await auth.waitForExit()
        for judge in fleet.followers {
            try await eventually("\(judge.name) refuses what it cannot judge") {
                let fresh = try await fleet.second.client.signUp("u-\(UUID().uuidString.lowercased())@example.com")
                return try await judge.verdict(on: try #require(fresh["access_token"].string)) == .unavailable
            }
            #expect(try await judge.client.get("/readyz").status == 503)
        }
        auth = try await fleet.installation.startAuth()
        try await fleet.untilFollowersAreReady()
        try await expect(.accepted, of: [try await fleet.makeVictim().token], by: fleet.followers)
        for process in strict + [second, auth] { #expect(try await process.terminate() == .status(0)) }
    }

    @Test("restarted while auth is down, a verifier does not say that it is ready, and then it knows everything")
    func restarted() async throws {
        let fleet = try await TrustFleet()
        var auth = try await fleet.installation.startAuth()
        let second = try await fleet.startSecond()
        var followers = [try await fleet.startChat(), try await fleet.startExample()]
        try await fleet.untilFollowersAreReady()
        let admin = try await fleet.installation.makeAdmin()
        let (before, during, staying) = (
            try await fleet.makeVictim(), try await fleet.makeVictim(), try await fleet.makeVictim()
        )
        try await fleet.end(before, by: .logout, at: fleet.second.client, admin: admin)
        auth.kill()
        _ = try await auth.waitForExit()
        for process in followers { #expect(try await process.terminate() == .status(0)) }
        try await fleet.end(during, by: .deactivation, at: fleet.second.client, admin: admin)

        followers = [try await fleet.startChat(), try await fleet.startExample()]
        for judge in fleet.followers {
            #expect(try await judge.client.get("/readyz").status == 503)
            for token in [before.token, during.token, staying.token] {
                #expect(try await judge.verdict(on: token) == .unavailable, "\(judge.name)")
            }
        }
        auth = try await fleet.installation.startAuth()
        for judge in fleet.followers {
            try await eventually("\(judge.name) is ready") { try await judge.client.get("/readyz").status == 200 }
            // The very first answers.
            #expect(try await judge.verdict(on: before.token) == .refused, "\(judge.name)")
            #expect(try await judge.verdict(on: during.token) == .refused, "\(judge.name)")
            #expect(try await judge.verdict(on: staying.token) == .accepted, "\(judge.name)")
        }
        for process in followers + [second, auth] { #expect(try await process.terminate() == .status(0)) }
    }

    private func expect(_ verdict: Verdict, of tokens: [String], by judges: [Judge]) async throws {
        for judge in judges {
            for token in tokens { #expect(try await judge.verdict(on: token) == verdict, "\(judge.name)") }
        }
    }

    private func keyID(of token: String) -> String? {
        var header = String(token.prefix { $0 != "." }).replacing("-", with: "+").replacing("_", with: "/")
        header += String(repeating: "=", count: (4 - header.count % 4) % 4)
        let bytes = Data(base64Encoded: header) ?? Data()
        return (try? JSONValue(parsing: String(decoding: bytes, as: UTF8.self)))?["kid"].string
    }
}
