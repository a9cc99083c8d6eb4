// Continues open erasures, on one node at a time: of users deleted at auth, those too large for their request, and
// those of a dead node.
import Logging
import ServiceKit
import ServiceLifecycle

struct ErasureService: Service {
    let erasures: Erasures
    let lease: JobLease
    let logger: Logger
    var interval: Duration = .seconds(1)

    func run() async throws {
        var progress = ErasureProgress()
        for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() {
            do {
                guard try await lease.hold() else { continue }
                try await erasures.finishOpen(&progress) {
                    if Task.isShuttingDownGracefully { return false }
                    return try await lease.hold()
                }
            } catch {
                logger.warning("an erasure did not get on, and is tried again", metadata: ["error": "\(error)"])
            }
        }
        await lease.release()
    }
}
