import Logging
import ServiceKit
import ServiceLifecycle

/// Reads the costs of passwords at the start and every minute, and counts them when due.
struct PasswordCostService: Service {
    let costs: PasswordCosts
    let logger: Logger

    func run() async throws {
        await PeriodicJob(every: .seconds(60), failure: "counting the costs of passwords failed", logger: logger)
            .run(startsAtOnce: true) { try await costs.maintain { !Task.isShuttingDownGracefully } }
    }
}
