import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Durability")
struct DurabilityTests {
    @Test("after kill -9 during signups, every acknowledged user can log in", arguments: Engine.allCases)
    func killDuringSignups(engine: Engine) async throws {
        let installation = try await Installation(engine, ["TESSERA_RATE_LIMITS": "off"])
        let client = installation.auth
        let process = try await installation.startAuth()
        let acknowledged = Acknowledged()

        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<6 {
                group.addTask {
                    // Until the process is gone: then the request throws.
                    for number in 0..<1000 {
                        let email = "user-\(worker)-\(number)@example.com"
                        guard let answer = try? await client.signUp(email), answer.status == 201 else { return }
                        acknowledged.append(email)
                    }
                }
            }
            group.addTask {
                try? await eventually(within: .seconds(60), "some signups") { acknowledged.emails.count >= 20 }
                process.kill()
            }
        }
        #expect(try await process.waitForExit() == .signal(9))
        let emails = acknowledged.emails
        #expect(emails.count >= 20)

        let restarted = try await installation.startAuth()
        // Another name of the same address: the HTTP client caches earlier refusals of the first for a while.
        let later = Client(base: "http://localhost:\(installation.authPort)")
        for email in emails {
            do {
                #expect(try await later.logIn(email).status == 200, "\(email)")
            } catch {
                Issue.record(
                    "\(email): \(error); the server: \(String(describing: restarted.exit)) \(restarted.output.suffix(2000))"
                )
                return
            }
        }
        // Proves that the check can fail.
        #expect(try await later.logIn("nobody@example.com").status == 401)
        #expect(try await restarted.terminate() == .status(0))
    }

    private final class Acknowledged: Sendable {
        private let list = Mutex<[String]>([])
        var emails: [String] { list.withLock { $0 } }
        func append(_ email: String) { list.withLock { $0.append(email) } }
    }
}
