// The streams of changes on this node, and what wakes them. A stream is only signalled and reads its events itself (see
// EventFollower), so there is no queue. Three things wake it:
//
// - A transaction of this node names its principal, whose streams are woken at once.
// - For other processes' writes, one reader reads all new rows when the database hints at some (`SQLDatabase.changes`),
//   and wakes their owners' streams. Different people's numbers become visible in any order, so it looks again behind a
//   missing number, for as long as a transaction may take to commit it.
// - Before each heartbeat a stream reads in any case, so that an unnoticed change is late and not lost.
//
// SECURITY: every second each stream has its token verified again. A token that expired or was revoked ends it (S2,
// S7).
import Logging
import Metrics
import NIOCore
package import ServiceKit
import Storage
import Synchronization

package struct ChangeFeedLimits: Sendable {
    package var streamsPerUser = 20
    package var streams = 10_000
    package var timing: EventFeedTiming = {
        var timing = EventFeedTiming()
        timing.heartbeat = .seconds(15)
        return timing
    }()

    package init() {}
}

final class ChangeFeed: Sendable {
    private struct State {
        var members: StreamMembers
        var work: Task<Void, Never>?
        /// Whether the other nodes need a notice of a write.
        var isNoticeDue = false
        var notices: AsyncStream<Void>.Continuation?
    }

    let changes: Changes
    let limits: ChangeFeedLimits
    private let logger: Logger
    private let state: Mutex<State>

    init(changes: Changes, limits: ChangeFeedLimits, logger: Logger) {
        self.changes = changes
        self.limits = limits
        self.logger = logger
        let members = StreamMembers(
            limit: limits.streams,
            limitPerOwner: limits.streamsPerUser,
            lifetime: limits.timing.lifetime,
            gauge: Gauge(label: "tessera_change_followers")
        )
        self.state = Mutex(State(members: members))
    }

    func hasRoom(for principal: String) -> Bool {
        state.withLock { $0.members.hasRoom(for: principal) }
    }

    /// Adds a stream; `nil` if there are too many. The first one starts the reader. `isAuthorized`: whether the
    /// stream's token is still valid.
    func join(
        _ principal: String,
        channel: any Channel,
        isAuthorized: @escaping @Sendable () -> Bool
    ) -> EventFollower? {
        state.withLock { state in
            guard state.members.hasRoom(for: principal) else { return nil }
            if state.work == nil { state.work = Task { await self.work() } }
            return state.members.add(principal, channel: channel, isAuthorized: isAuthorized)
        }
    }

    /// Removes a stream; the last one stops the reader.
    func leave(_ follower: EventFollower) {
        let work = state.withLock { state -> Task<Void, Never>? in
            state.members.remove(follower)
            guard state.members.count == 0 else { return nil }
            defer { state.work = nil }
            return state.work
        }
        work?.cancel()
    }

    var count: Int { state.withLock { $0.members.count } }

    /// A transaction was written here, for this principal if known.
    func wrote(_ principal: String?) {
        let (followers, notices) = state.withLock { state in
            state.isNoticeDue = true
            return (principal.map { state.members.of($0) } ?? state.members.all, state.notices)
        }
        followers.signal(.events)
        notices?.yield()
    }

    /// Hints that `wrote` was called, combined.
    func notices() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.notices = continuation }
        return stream
    }

    /// Whether the other nodes need a notice, once.
    func takeNotice() -> Bool {
        state.withLock { state in
            defer { state.isNoticeDue = false }
            return state.isNoticeDue
        }
    }

    private func wakeAll() {
        state.withLock { $0.members.all }.signal(.events)
    }

    private func wake(_ principals: Set<String>) {
        state.withLock { state in principals.flatMap { state.members.of($0) } }.signal(.events)
    }

    private func work() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.readOn() }
            group.addTask { await self.keepTime() }
        }
    }

    private func readOn() async {
        var frontier: ChangeFrontier?
        for await _ in changes.database.changes(of: Changes.log) {
            do {
                if frontier == nil {
                    frontier = ChangeFrontier(at: try await changes.newest())
                    // Changes between a stream's own first read and this moment are behind the frontier.
                    wakeAll()
                }
                guard var looking = frontier else { continue }
                wake(try await readNew(&looking))
                frontier = looking
            } catch {
                // The next hint comes within a second, and each stream reads by itself before a heartbeat.
                if !Task.isCancelled { logger.debug("the changes cannot be read", metadata: ["error": "\(error)"]) }
            }
        }
    }

    private func readNew(_ frontier: inout ChangeFrontier) async throws -> Set<String> {
        var principals: Set<String> = []
        var after = frontier.floor
        let now = ContinuousClock.now
        while true {
            let rows = try await changes.database.run(ChangeStatements.recent(after: after, limit: Int64(Self.chunk)))
                .rows
            for row in rows {
                after = try row.integer("seq")
                if frontier.take(after) { principals.insert(try row.text("principal_id")) }
            }
            frontier.advance(at: now)
            if rows.count < Self.chunk { return principals }
        }
    }

    private static let chunk = 1000

    private func keepTime() async {
        for await _ in PeriodicTicks(every: limits.timing.tick) {
            state.withLock { $0.members.all }.tick(at: .now, limits.timing)
        }
    }
}

struct ChangeFrontier {
    /// Everything up to here has been seen.
    private(set) var floor: Int64
    /// Seen beyond the floor: a number in between is not committed yet, or never will be.
    private var seen: Set<Int64> = []
    private var stuckSince: ContinuousClock.Instant?

    /// A number that is missing for longer was rolled back; streams find later rows themselves.
    static let maxGapAge: Duration = .seconds(5)

    init(at floor: Int64) { self.floor = floor }

    mutating func take(_ seq: Int64) -> Bool { seq > floor && seen.insert(seq).inserted }

    /// Moves the floor over seen numbers and expired gaps.
    mutating func advance(at now: ContinuousClock.Instant) {
        while seen.remove(floor + 1) != nil {
            floor += 1
            stuckSince = nil
        }
        guard !seen.isEmpty else { return }
        guard let since = stuckSince else {
            stuckSince = now
            return
        }
        guard since + Self.maxGapAge <= now else { return }
        // All existing rows are seen. The gaps in between are as old as the first, or the streams will find their rows.
        floor = seen.max() ?? floor
        seen = []
        stuckSince = nil
    }
}
