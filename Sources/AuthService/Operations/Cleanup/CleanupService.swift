// The schedule of the cleanup, and the endpoint for admins.
import Hummingbird
import Logging
import ServiceKit
import ServiceLifecycle

/// A failure is logged and retried at the next tick.
struct CleanupService: Service {
    let cleanup: Cleanup
    let interval: Duration
    let logger: Logger

    func run() async throws {
        for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() {
            do {
                if let report = try await cleanup.runIfFree(), report.total > 0 {
                    logger.info("cleaned up", metadata: ["rows": "\(report.total)"])
                }
            } catch {
                logger.error("cleanup failed", metadata: ["error": "\(error)"])
            }
        }
    }
}

struct CleanupRoutes: Sendable {
    let cleanup: Cleanup

    func mount(on router: RouterGroup<AuthRequestContext>) {
        router.post("cleanup") { _, _ in
            let report = try await cleanup.run()
            return Response.json(
                JSONWriter.object { writer in
                    writer.key(of: "removed") { report.write(to: &$0) }
                }
            )
        }
    }
}
