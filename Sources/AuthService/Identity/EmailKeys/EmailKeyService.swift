// When the keys of addresses are walked.
import Logging
import ServiceKit
import ServiceLifecycle

/// Walks at the start and every ten minutes.
struct EmailKeyService: Service {
    let keys: EmailKeys
    let logger: Logger
    private static let interval: Duration = .seconds(600)

    func run() async throws {
        await walk()
        for await _ in PeriodicTicks(every: Self.interval).cancelOnGracefulShutdown() { await walk() }
    }

    private func walk() async {
        do {
            let report = try await keys.run { !Task.isShuttingDownGracefully }
            if report.changed > 0 || report.conflicts > 0 {
                logger.info(
                    "keys of addresses recomputed",
                    metadata: ["users": "\(report.changed)", "conflicts": "\(report.conflicts)"]
                )
            }
        } catch {
            logger.error("recomputing the keys of addresses failed", metadata: ["error": "\(error)"])
        }
    }
}
