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
        await PeriodicJob(
            every: interval,
            failure: "an erasure did not get on, and is tried again",
            level: .warning,
            logger: logger
        ).run {
            guard try await lease.hold() else { return }
            try await erasures.finishOpen(&progress) {
                if Task.isShuttingDownGracefully { return false }
                return try await lease.hold()
            }
        }
        await lease.release()
    }
}
