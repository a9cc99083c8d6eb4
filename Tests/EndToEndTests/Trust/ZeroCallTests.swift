// Verification makes no request, counted at auth. It runs in one process with the library, since a hundred thousand
// requests over sockets would measure this test's HTTP; the benchmark has those.
import Foundation
import Logging
import OpenSSLCrypto
import Storage
import TesseraVerifier
import TestSupport
import Testing

@Suite("Verifying asks nobody", .timeLimit(.minutes(15)))
struct ZeroCallTests {
    @Test(
        "auth gets no request and no connection while 100,000 tokens are validated, a third of them never seen before"
    )
    func zeroCalls() async throws {
        let installation = try await Installation()
        let node = try await installation.startAuth()
        let auth = installation.environment["TESSERA_PUBLIC_URL"] ?? ""
        let secret = try await installation.makeFollower("library")
        let logger = Logger(label: "library") { _ in SwiftLogNoOpLogHandler() }
        let keys = RemoteKeySource(url: "\(auth)/.well-known/jwks.json", logger: logger)
        let feed = RevocationFeed(
            url: "\(auth)/v1/events",
            credentials: ClientCredentials(tokenEndpoint: "\(auth)/oauth2/token", id: "library", secret: secret),
            logger: logger
        )
        let verifier = TokenVerifier(
            requirements: TokenRequirements(issuer: auth, audience: "tessera"),
            keys: keys,
            revocations: feed
        )
        let following = Task { await feed.run() }
        let fetching = Task { try await keys.run() }
        defer {
            following.cancel()
            fetching.cancel()
        }
        await feed.waitUntilCurrent()
        try await eventually("the keys are there") { !keys.snapshot().isEmpty }
        let real = try #require(try await installation.auth.signUp("someone@example.com")["access_token"].string)
        #expect(try await verifier.verify(real).isUser)

        let signer = try await installation.withAuthDatabase { database in
            try await ServiceToken.signer(database, ring: installation.environment["TESSERA_MASTER_KEY"] ?? "")
        }
        let seen = try (0..<1000).map { try signer.sign(Self.claims($0, issuer: auth)) }
        for token in seen { #expect(try await verifier.verify(token).isUser) }

        let before = try await Calls.at(installation)
        let begin = ContinuousClock.now
        let validated = try await withThrowingTaskGroup(of: Int.self) { group in
            for part in 0..<2 {
                group.addTask {
                    var users = 0
                    for number in stride(from: part, to: 100_000, by: 2) {
                        let token =
                            number % 3 == 0
                            ? try signer.sign(Self.claims(1000 + number, issuer: auth)) : seen[number % seen.count]
                        if try await verifier.verify(token).isUser { users += 1 }
                        // Nothing here waits, and other tests share the threads.
                        if number % 64 < 2 { await Task.yield() }
                    }
                    return users
                }
            }
            return try await group.reduce(0, +)
        }
        let after = try await Calls.at(installation)
        print("100,000 tokens validated in \(begin.duration(to: .now)), of which 33,334 were new; auth saw \(after)")
        #expect(validated == 100_000)
        #expect(after == before)
        // The check is not blind: the counters do move, and a revocation still arrives.
        #expect(try await installation.auth.post("/v1/logout", token: real).status == 204)
        _ = try RawConnection(port: installation.authPort)
        try await eventually("the call was counted") {
            let calls = try await Calls.at(installation)
            return calls.requests == before.requests + 1 && calls.connections > before.connections
        }
        try await eventually("the token is refused") {
            Self.refusal(of: real, by: verifier) == .revoked
        }
        #expect(try await node.terminate() == .status(0))
    }

    private static func refusal(of token: String, by verifier: TokenVerifier) -> VerificationError.Code? {
        do throws(VerificationError) {
            _ = try verifier.verify(token)
            return nil
        } catch {
            return error.code
        }
    }

    private static func claims(_ number: Int, issuer: String) -> [UInt8] {
        let now = Int(Date.now.timeIntervalSince1970)
        return Array(
            """
            {"iss":"\(issuer)","sub":"user-\(number)","aud":["tessera","chat"],"exp":\(now + 600),"iat":\(now),\
            "jti":"token-\(number)","sid":"session-\(number)","client_id":"tessera","scope":"","role":"user",\
            "kind":"user","ver":1,"gver":1,"amr":["pwd"],"auth_time":\(now),"email_verified":true}
            """.utf8
        )
    }

    private struct Calls: Equatable {
        let requests: Double
        let connections: Double

        static func at(_ installation: Installation) async throws -> Calls {
            let address = installation.environment["TESSERA_METRICS_ADDRESS"] ?? ""
            let lines = try await Client(base: "http://\(address)").get("/metrics").text.split(separator: "\n")
            func sum(_ metric: String) -> Double {
                lines.filter { $0.hasPrefix("\(metric){") && $0.contains(#"service="auth""#) }
                    .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
            }
            let calls = Calls(
                requests: sum("tessera_http_requests_total"),
                connections: sum("tessera_http_connections_total")
            )
            #expect(calls.requests > 0 && calls.connections > 0)
            return calls
        }
    }
}
