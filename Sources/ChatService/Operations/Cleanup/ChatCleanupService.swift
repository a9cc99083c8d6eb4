// The schedule of chat's cleanup. The areas declare what it removes: expired idempotency keys, reservations, changes
// and trash, and leftovers of processes that died.
import Logging
import ServiceKit
import ServiceLifecycle

struct ChatCleanupService: Service {
    let cleanup: CleanupRunner
    let interval: Duration
    let logger: Logger

    func run() async throws { await cleanup.run(every: interval, logger: logger) }
}
