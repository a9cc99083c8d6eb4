// Keeps the mirror current, on one node at a time, and asks auth for nothing while nothing happens.
//
// The stream that the verifier follows says when there are events to read (`EventNews`); they are read as pages from
// the cursor in the database. Each node hears all hints and keeps those that it has not acted on. So the next holder of
// the lease reads what the last one left. Two things besides a hint make the holder read:
//
// - A page failed: again after a second, for as long as the stream is there. Without it auth is away; the feed either
//   goes on where it was, or gives a hint of every kind.
// - The stream has moved on over events of other kinds: once a minute, so that the cursor keeps ahead of the retention.
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
    /// How often it looks after the lease and what is left to do. Nothing is asked over HTTP for that.
    var interval: Duration = .seconds(1)
    /// For how long cursors may stay behind events of other kinds.
    var longestLag: Duration = .seconds(60)

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
                // A burst of sign-ups is a page, and not a request for each.
                try? await Task.sleep(for: MirrorWork.pause)
            }
            group.cancelAll()
        }
        news.onHint(nil)
        await lease.release()
    }
}

/// What one node knows of what is left to read.
private struct MirrorWork {
    let service: MirrorService
    private var unread: Set<FeedLane> = []
    private var failures = 0
    /// Where the stream was when all kinds were read last, and when that was.
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
            // auth may start after chat; a long outage is reported now and then.
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
        unread.formUnion(FeedLane.allCases.filter { !hints.isDisjoint(with: $0.kinds) })
        guard let heardAt else { return }
        if position != readPosition, readAt + service.longestLag <= .now { unread = Set(FeedLane.allCases) }
        let readsAll = unread.count == FeedLane.allCases.count
        for lane in FeedLane.allCases where unread.contains(lane) {
            while try await mirror.follow(lane) {
                guard try await service.lease.hold() else { return }
            }
            unread.remove(lane)
        }
        if readsAll { (readPosition, readAt) = (position, .now) }
        let lag = ContinuousClock.now - heardAt
        Gauge(label: "tessera_chat_mirror_read_seconds").record((mirror.clock.now() - lag).seconds)
    }
}
