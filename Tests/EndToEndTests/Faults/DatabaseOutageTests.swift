// The service while its PostgreSQL is unreachable, moves, or lacks something.
import Foundation
import NIOHTTP1
import TestSupport
import Testing

@Suite("Outages of PostgreSQL")
struct DatabaseOutageTests {
    @Test("while the database is down the answer is 503 with Retry-After, and readiness comes back by itself")
    func outage() async throws {
        try await withPrivateCluster { cluster async throws in
            let installation = try await Installation(.sqlite, ["TESSERA_AUTH_DATABASE_URL": cluster.url()])
            let process = try await installation.startAuth()
            let client = installation.auth
            #expect(try await client.signUp("early@example.com").status == 201)

            for mode in [PrivateCluster.Stop.fast, .immediate] {
                try await cluster.stop(mode)
                for answer in [try await client.get("/readyz"), try await client.logIn("early@example.com")] {
                    Self.expectUnavailable(answer)
                }
                // Still alive: a restart would not help.
                #expect(try await client.get("/healthz").status == 200)
                try await cluster.start()
                try await eventually("readiness comes back") {
                    try await client.get("/readyz").status == 200
                }
                try await eventually("logins come back") {
                    try await client.logIn("early@example.com").status == 200
                }
            }
            #expect(try await process.terminate() == .status(0))
        }
    }

    @Test("behind a network that falls silent requests end in 503, and service comes back with the network")
    func silence() async throws {
        try await withPrivateCluster { cluster async throws in
            let network = try await StoppableProxy(to: cluster.port)
            let url = "postgres://tessera@127.0.0.1:\(network.port)/postgres?connect_timeout=2"
            let installation = try await Installation(.sqlite, ["TESSERA_AUTH_DATABASE_URL": url])
            let process = try await installation.startAuth()
            let client = installation.auth
            #expect(try await client.signUp("early@example.com").status == 201)

            try await network.goSilent()
            let start = ContinuousClock.now
            let answers = try await withThrowingTaskGroup(of: Client.Answer.self) { group in
                for number in 0..<4 { group.addTask { try await client.signUp("\(number)@example.com") } }
                group.addTask { try await client.get("/readyz") }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let time = start.duration(to: .now)
            print("partition: 5 requests ended after \(time)")
            // Ten seconds in the queue, ten on the wire and two to connect, on a busy machine. Without a deadline TCP
            // gives up after a quarter of an hour.
            #expect(time < .seconds(45))
            for answer in answers { Self.expectUnavailable(answer) }

            network.resume()
            try await eventually("service comes back") {
                guard try await client.get("/readyz").status == 200 else { return false }
                return try await client.logIn("early@example.com").status == 200
            }
            #expect(try await process.terminate() == .status(0))
        }
    }

    @Test("the service follows a promotion of the standby and keeps what it acknowledged")
    func promotion() async throws {
        try await withPrivateCluster { primary async throws in
            try await primary.withStandby(synchronous: true) { standby async throws in
                let hosts = "127.0.0.1:\(primary.port),127.0.0.1:\(standby.port)"
                let installation = try await Installation(
                    .sqlite,
                    ["TESSERA_AUTH_DATABASE_URL": "postgres://tessera@\(hosts)/postgres", "TESSERA_RATE_LIMITS": "off"]
                )
                let process = try await installation.startAuth()
                let client = installation.auth
                #expect(try await client.signUp("early@example.com").status == 201)
                try await primary.stop(.immediate)
                Self.expectUnavailable(try await client.signUp("between@example.com"))

                let start = ContinuousClock.now
                try await standby.promote()
                try await eventually("signups are taken again") {
                    try await client.signUp("late-\(UUID().uuidString)@example.com").status == 201
                }
                let back = start.duration(to: .now)
                print("promotion: signups taken again after \(back)")
                #expect(back < .seconds(5))
                // One working connection serves all requests.
                #expect(try await client.get("/readyz").status == 200)
                #expect(try await client.logIn("early@example.com").status == 200)
                #expect(try await process.terminate() == .status(0))
            }
        }
    }

    @Test("behind a pooler of transactions the program says why and does not start")
    func pooler() async throws {
        try await withPrivateCluster { cluster async throws in
            let pooler = try await PrivatePooler(to: cluster, settings: ["pool_mode": "transaction"])
            let installation = try await Installation(.sqlite, ["TESSERA_AUTH_DATABASE_URL": pooler.url()])
            let process = try installation.start("auth", "--migrate")
            #expect(try await process.waitForExit() == .status(1))
            let lines = process.output.split(separator: "\n").filter { !$0.contains(#""level":"warning""#) }
            #expect(lines.count == 1 && process.output.contains("pool_mode=session"), "\(process.output)")
            // Nothing was begun either.
            #expect(
                try await cluster.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").hasPrefix("0")
            )
        }
    }

    private static func expectUnavailable(_ answer: Client.Answer) {
        #expect(answer.status == 503, "\(answer.text)")
        #expect(["database_unavailable", "outcome_unknown"].contains(answer["code"].string), "\(answer.text)")
        #expect(answer.headers.first(name: "Retry-After").flatMap(Int.init) ?? 0 >= 1)
    }
}
