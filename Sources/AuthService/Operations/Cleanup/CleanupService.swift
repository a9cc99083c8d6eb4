// The schedule of the cleanup, and the endpoint for admins.
import Hummingbird
import Logging
import ServiceKit
import ServiceLifecycle

/// A failure is logged and retried at the next tick.
struct CleanupService: Service {
    let cleanup: CleanupRunner
    let interval: Duration
    let logger: Logger

    func run() async throws { await cleanup.run(every: interval, logger: logger) }
}

struct CleanupRoutes: Sendable {
    let cleanup: CleanupRunner

    func mount(on router: RouteGroup<AuthRequestContext>) {
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
