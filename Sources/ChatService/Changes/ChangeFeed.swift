// Who follows their changes on this node, and who wakes them.
//
// A stream is told *that* something may have happened and reads for itself (see EventFollower), so there is no queue to
// grow or to drop. Three things wake it. A unit that was written through this node names its principal, whose streams
// are woken at once. For what other processes write, one reader looks at everybody's new rows whenever the database
// hints at some (`SQLDatabase.changes`), and wakes whom they belong to. And before each heartbeat a stream reads in any
// case, so that what nobody noticed is late and not lost.
//
// Of different people, numbers become visible in any order: the reader looks again at what lies behind a number that it
// has not seen, for as long as a transaction may take to bring it.
//
// SECURITY: every second each stream shows its token to the verifier again. One that has expired or was revoked ends
// its streams, as it would have been refused (S2, S7).
import Logging
import Metrics
import NIOCore
package import ServiceKit
import Storage
import Synchronization

/// Bounds and times of the feed.
package struct ChangeFeedLimits: Sendable {
    /// Streams of one person on one node.
    package var streamsPerUser = 20
    /// Streams of one node.
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
        /// Whether something was written that the other nodes have not been told of.
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

    // MARK: Streams

    /// Whether one more stream of a person would be taken.
    func hasRoom(for principal: String) -> Bool {
        state.withLock { $0.members.hasRoom(for: principal) }
    }

    /// Counts a stream in; `nil` when there are too many. The first one starts the reader. `isAdmitted`: whether the
    /// token that opened the stream would be accepted now.
    func join(
        _ principal: String,
        channel: any Channel,
        isAdmitted: @escaping @Sendable () -> Bool
    ) -> EventFollower? {
        state.withLock { state in
            guard state.members.hasRoom(for: principal) else { return nil }
            if state.work == nil { state.work = Task { await self.work() } }
            return state.members.add(principal, channel: channel, isAdmitted: isAdmitted)
        }
    }

    /// Counts a stream out; with the last one the reader goes.
    func leave(_ follower: EventFollower) {
        let work = state.withLock { state -> Task<Void, Never>? in
            state.members.remove(follower)
            guard state.members.count == 0 else { return nil }
            defer { state.work = nil }
            return state.work
        }
        work?.cancel()
    }

    /// How many streams there are.
    var count: Int { state.withLock { $0.members.count } }

    // MARK: Waking

    /// A unit was written here: by whom, where that is known.
    func wrote(_ principal: String?) {
        let (followers, notices) = state.withLock { state in
            state.isNoticeDue = true
            return (principal.map { state.members.of($0) } ?? state.members.all, state.notices)
        }
        followers.signal(.events)
        notices?.yield()
    }

    /// Hints that `wrote` was called, many at once as one.
    func notices() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.notices = continuation }
        return stream
    }

    /// Whether the other nodes are to be told, once.
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

    // MARK: Work

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
                    // What came between a stream's own first read and this moment is behind the frontier.
                    wakeAll()
                }
                guard var looking = frontier else { continue }
                wake(try await readNew(&looking))
                frontier = looking
            } catch {
                // The next hint comes within a second, and each stream reads for itself before it vouches.
                if !Task.isCancelled { logger.debug("the changes cannot be read", metadata: ["error": "\(error)"]) }
            }
        }
    }

    /// Whose rows are new.
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
        for await _ in PeriodicTicks(every: limits.timing.look) {
            state.withLock { $0.members.all }.tick(at: .now, limits.timing)
        }
    }
}

/// How far everybody's rows have been seen.
struct ChangeFrontier {
    /// Up to here there is nothing left to see.
    private(set) var floor: Int64
    /// Seen beyond the floor: something between has not come, or never will.
    private var seen: Set<Int64> = []
    private var stuckSince: ContinuousClock.Instant?

    /// A number that has not come by then was given back; streams find what comes later by themselves.
    static let patience: Duration = .seconds(5)

    init(at floor: Int64) { self.floor = floor }

    /// Whether a number is seen for the first time.
    mutating func take(_ seq: Int64) -> Bool { seq > floor && seen.insert(seq).inserted }

    /// Moves the floor over what has been seen, and over holes that are too old.
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
        guard since + Self.patience <= now else { return }
        // All of what is there is seen; the holes between are as old as the first, or will be found by their streams.
        floor = seen.max() ?? floor
        seen = []
        stuckSince = nil
    }
}
