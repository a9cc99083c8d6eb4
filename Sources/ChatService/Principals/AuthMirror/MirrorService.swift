// Keeps the mirror current, on one node at a time.
import Logging
import Metrics
import ServiceKit
import ServiceLifecycle
import Storage

/// Reads the feed every so often until shutdown; a failure is logged and tried again at the next tick.
struct MirrorService: Service {
    let mirror: UserMirror
    let lease: JobLease
    let logger: Logger
    var interval: Duration = .seconds(1)

    func run() async throws {
        var failures = 0
        for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() {
            do {
                guard try await lease.hold() else { continue }
                for lane in FeedLane.allCases {
                    while try await mirror.follow(lane) { guard try await lease.hold() else { break } }
                }
                Gauge(label: "tessera_chat_mirror_read_seconds").record(mirror.clock.now().seconds)
                failures = 0
            } catch {
                failures += 1
                // auth may start after chat; a long outage is told of now and then.
                logger.log(
                    level: failures % 60 == 5 ? .warning : .info,
                    "auth's events cannot be taken",
                    metadata: ["error": "\(error)", "failures": "\(failures)"]
                )
            }
        }
        await lease.release()
    }
}
