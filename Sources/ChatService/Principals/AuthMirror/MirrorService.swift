// Keeps the mirror current, on one node at a time, without requests to auth while nothing happens.
//
// The verifier's stream hints at new events (`EventNews`), which are read as pages from the cursor in the database.
// Each node receives all hints and keeps those it has not handled, so the next holder of the lease continues. Two other
// things make the holder read:
//
// - A page failed: it retries after a second, while the stream is open. Without it auth is down; then the feed resumes,
//   or hints at every kind.
// - The stream has passed events of other kinds: once a minute, so that the cursor stays ahead of the retention.
import Logging
import Metrics
import ServiceKit
import ServiceLifecycle
import Storage
import TesseraVerifierHummingbird

struct MirrorService: Service {
    let mirror: UserMirror
    let news: EventNews
    let lease: JobLease
    let logger: Logger
    /// How often it checks the lease and its work. This makes no HTTP request.
    var interval: Duration = .seconds(1)
    /// How long cursors may lag behind events of other kinds.
    var maxLag: Duration = .seconds(60)

    func run() async throws {
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        news.onHint { wake.yield() }
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() { wake.yield() }
                wake.finish()
            }
            var work = MirrorWork(service: self)
            for await _ in wakes {
                await work.pass()
                // Turns a burst of sign-ups into one page.
                try? await Task.sleep(for: MirrorWork.pause)
            }
            group.cancelAll()
        }
        news.onHint(nil)
        await lease.release()
    }
}

private struct MirrorWork {
    let service: MirrorService
    private var unread: Set<FeedSelection> = []
    private var failures = 0
    /// The stream's position at the last read of all kinds, and its time.
    private var readPosition: String?
    private var readAt = ContinuousClock.now

    static let pause: Duration = .milliseconds(50)

    init(service: MirrorService) {
        self.service = service
    }

    mutating func pass() async {
        do {
            try await read()
            failures = 0
        } catch {
            failures += 1
            // auth may start after chat; a long outage is logged now and then.
            service.logger.log(
                level: failures % 60 == 5 ? .warning : .info,
                "auth's events cannot be taken",
                metadata: ["error": "\(error)", "failures": "\(failures)"]
            )
        }
    }

    private mutating func read() async throws {
        let (mirror, news) = (service.mirror, service.news)
        guard try await service.lease.hold() else { return }
        // Before the hints are taken, so that they are complete up to then.
        let (heardAt, position) = (news.completeUntil, news.position)
        let hints = news.take()
        unread.formUnion(FeedSelection.allCases.filter { !hints.isDisjoint(with: $0.kinds) })
        guard let heardAt else { return }
        if position != readPosition, readAt + service.maxLag <= .now { unread = Set(FeedSelection.allCases) }
        let readsAll = unread.count == FeedSelection.allCases.count
        for selection in FeedSelection.allCases where unread.contains(selection) {
            while try await mirror.follow(selection) {
                guard try await service.lease.hold() else { return }
            }
            unread.remove(selection)
        }
        if readsAll { (readPosition, readAt) = (position, .now) }
        let lag = ContinuousClock.now - heardAt
        Gauge(label: "tessera_chat_mirror_read_seconds").record((mirror.clock.now() - lag).seconds)
    }
}
