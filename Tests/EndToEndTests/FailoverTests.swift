// The database goes away under the running service and comes back, on the same server or on its standby. Nobody tells the
// service; it says 503 meanwhile and finds the way by itself.
import Foundation
import Glibc
import NIOHTTP1
import TestSupport
import Testing

// One after the other: each takes both processors for itself.
@Suite("Losing the database under the service", .serialized)
struct FailoverTests {
    @Test("the standby is promoted under load: no acknowledged unit is lost, and service is back within 5 s")
    func promotion() async throws {
        try await withReplicatedCluster { primary, standby async throws in
            // Applied on the standby too before anybody asks it: libpq tries no further host when a database is missing.
            for name in ["auth", "chat"] {
                try await primary.execute("SET synchronous_commit = remote_apply", "CREATE DATABASE \(name)")
            }
            let installation = try await Installation.forCrashes([
                "TESSERA_AUTH_DATABASE_URL": primary.url("auth", orOn: standby),
                "TESSERA_CHAT_DATABASE_URL": primary.url("chat", orOn: standby),
            ])
            let service = try await installation.startDev()
            let writer = try await CrashWriter(installation)
            let old = try primary.postmaster
            let kill = try await writer.kill(.process(old.identifier, signal: SIGQUIT), open: 32, acknowledged: 256)
            _ = try await old.waitForExit()
            let ordered = ContinuousClock.now
            try await standby.promote()
            let promoted = ContinuousClock.now
            // More than could be answers of the old primary that were still on their way.
            try await writer.waitForAcknowledgements(128)
            let back = ContinuousClock.now
            try await eventually("both services are ready") {
                let auth = try await installation.auth.get("/readyz").status
                return try await installation.chat.get("/readyz").status == 200 && auth == 200
            }
            let ready = ContinuousClock.now
            try await writer.waitForAcknowledgements(256)
            let log = try await writer.stop()
            #expect(try await service.terminate() == .status(0))

            #expect(promoted.duration(to: back) < .seconds(5))
            #expect(promoted.duration(to: ready) < .seconds(5))
            #expect(kill.open >= 32)
            #expect(log.odd.isEmpty, "answers that are none of the three: \(log.odd.prefix(10))")
            let verdict = try await installation.audit(log, on: .postgres)
            print(
                """
                promotion of the standby: open at the kill \(kill.open), promotion took \(ordered.duration(to: promoted)), \
                128 units \(promoted.duration(to: back)) and ready \(promoted.duration(to: ready)) after it; \
                \(verdict.summary)
                """
            )
            verdict.expectClean()
        }
    }

    @Test("readiness turns false with Retry-After while PostgreSQL is away, and true again by itself")
    func readiness() async throws {
        try await withCrashCluster { cluster async throws in
            let installation = try await Installation.forCrashes(on: cluster)
            let service = try await installation.startDev()
            let token = try await installation.auth.signUp("reader@example.com")["access_token"].string
            for _ in 0..<2 {
                try await cluster.stop()
                for client in [installation.auth, installation.chat] {
                    let answer = try await client.get("/readyz")
                    #expect(answer.status == 503)
                    #expect(answer["code"].string == "database_unavailable")
                    #expect(answer.headers["Retry-After"] == ["1"])
                    #expect(try await client.get("/healthz").status == 200)
                }
                let start = ContinuousClock.now
                var refusals = 0
                // Once the lane knows, it refuses at once and does not try to connect for each request.
                while refusals < 200 {
                    let answer = try await installation.chat.post("/v1/conversations", ["title": "away"], token: token)
                    #expect(answer.status == 503)
                    #expect(["database_unavailable", "outcome_unknown"].contains(answer["code"].string))
                    #expect(answer.headers["Retry-After"] == ["1"])
                    refusals += 1
                }
                print("PostgreSQL away: 200 refusals took \(start.duration(to: .now))")
                try await cluster.start()
                for port in [installation.authPort, installation.chatPort] {
                    try await service.waitUntilReady(port: port)
                }
                try await eventually("a unit is committed") {
                    try await installation.chat.post("/v1/conversations", ["title": "back"], token: token).status == 201
                }
            }
            #expect(try await service.terminate() == .status(0))
            // 50 ms, doubled up to 2 s: far fewer attempts than the 400 and more requests.
            let attempts = service.output.split(separator: "\n").count { $0.contains("cannot connect") }
            #expect((1...100).contains(attempts), "\(attempts) attempts to connect")
        }
    }

    @Test("a silent partition: every request ends in a 503, and with the network back the service goes on by itself")
    func partition() async throws {
        try await withCrashCluster { cluster async throws in
            for name in ["auth", "chat"] { try await cluster.execute("CREATE DATABASE \(name)") }
            let proxy = try await StoppableProxy(to: cluster.port)
            let server = "postgres://tessera@127.0.0.1:\(proxy.port)"
            let installation = try await Installation.forCrashes([
                "TESSERA_AUTH_DATABASE_URL": "\(server)/auth", "TESSERA_CHAT_DATABASE_URL": "\(server)/chat",
            ])
            let service = try await installation.startDev()
            let token = try await installation.auth.signUp("reader@example.com")["access_token"].string
            proxy.goSilent()
            let start = ContinuousClock.now
            do {
                defer { proxy.resume() }
                try await withThrowingTaskGroup(of: Client.Answer.self) { group in
                    // With the two below as many as the client opens connections to one host; others would wait in it.
                    for number in 0..<6 {
                        group.addTask {
                            try await installation.chat.post(
                                "/v1/conversations",
                                ["title": .string("\(number)")],
                                token: token
                            )
                        }
                    }
                    group.addTask { try await installation.chat.get("/readyz") }
                    group.addTask { try await installation.chat.get("/v1/conversations", token: token) }
                    // The client gives up after 30 s, with an error that fails the test: a hang would end there.
                    for try await answer in group {
                        #expect(answer.status == 503)
                        #expect(answer.headers["Retry-After"] == ["1"])
                    }
                }
            }
            print("silent partition: 8 requests ended within \(start.duration(to: .now))")
            for port in [installation.authPort, installation.chatPort] { try await service.waitUntilReady(port: port) }
            try await eventually("a unit is committed") {
                try await installation.chat.post("/v1/conversations", ["title": "back"], token: token).status == 201
            }
            #expect(try await service.terminate() == .status(0))
        }
    }
}
