// The loop of a background job: periodic passes until shutdown.
package import Logging
import ServiceLifecycle

/// A failure is logged and retried at the next tick.
package struct PeriodicJob: Sendable {
    private let interval: Duration
    private let failure: Logger.Message
    private let level: Logger.Level
    private let logger: Logger

    /// `failure`: the log line of a failed pass.
    package init(
        every interval: Duration,
        failure: Logger.Message,
        level: Logger.Level = .error,
        logger: Logger
    ) {
        self.interval = interval
        self.failure = failure
        self.level = level
        self.logger = logger
    }

    /// Runs a pass after each interval, and one at once if `startsAtOnce`. Returns at a graceful shutdown, after the
    /// running pass.
    package func run(startsAtOnce: Bool = false, _ pass: () async throws -> Void) async {
        if startsAtOnce { await attempt(pass) }
        for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() { await attempt(pass) }
    }

    private func attempt(_ pass: () async throws -> Void) async {
        do {
            try await pass()
        } catch {
            logger.log(level: level, failure, metadata: ["error": "\(error)"])
        }
    }
}
