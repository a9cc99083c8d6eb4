// The database disappears under the running service and returns, on the same server or its standby. The service is not
// notified: it answers 503 meanwhile and recovers by itself.
import Foundation
import Glibc
import NIOHTTP1
import TestSupport
import Testing

@Suite("Losing the database under the service", .serialized)
struct FailoverTests {
    @Test("the standby is promoted under load: no acknowledged unit is lost, and service is back within 5 s")
    func promotion() async throws {
        try await withDurableCluster { primary async throws in
            try await primary.withStandby(synchronous: true) { standby async throws in
                // Applied on the standby before it is used: libpq tries no further host if a database is missing.
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
                // More than the old primary's answers that may still be on their way.
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
    }
}
