// One reader for every stream of this node.
//
// While there are followers, one task waits for hints that the log has grown (`SQLDatabase.changes`). It reads and
// renders new events once, and keeps the last few thousand as the *tail*. Each follower takes events from the tail by
// its own position. A follower behind the tail reads pages itself until it has caught up, so no other follower waits
// and nothing is queued for it.
//
// A second task sends heartbeats and ends stalled or old streams. A heartbeat says that the log was read a moment ago.
// A node without its database therefore sends none, and soon ends its streams.
//
// A new epoch, or fewer events than were read, means another log. Then every stream ends, and its old cursor is 410.
import Logging
import Metrics
import NIOCore
import ServiceKit
import ServiceLifecycle
import Storage
import Synchronization
import TesseraVerifierHummingbird

/// A client's tokens from before a second.
struct EndedClientTokens: Sendable {
    let client: String
    let issuedBefore: Int64

    func contain(_ claims: AccessTokenClaims) -> Bool {
        claims.clientID == client && claims.issuedAt < issuedBefore
    }
}

final class EventFeed: Sendable {
    struct Entry: Sendable {
        let seq: Int64
        let kind: String
        let frame: ByteBuffer
        /// The tokens that the event ends, if they are a client's.
        let endsClient: EndedClientTokens?
    }

    enum Taken {
        case entries([Entry])
        /// Nothing new up to and including this number.
        case upToDate(Int64)
        /// The position is before the tail, which begins after this number.
        case behind(Int64)
        /// The tail belongs to another history.
        case over
    }

    fileprivate struct Tail {
        let epoch: String
        /// The tail has only later events.
        var start: Int64
        var end: Int64
        var entries: [Entry] = []
        var lastRead: ContinuousClock.Instant
        let work: Task<Void, Never>
    }

    private struct State {
        var tail: Tail?
        var members: StreamMembers
        var isUnreadable = false
    }

    /// Some hundred bytes each.
    static let tailLimit = 4096
    static let batchSize = 256

    let log: EventLog
    let timing: EventFeedTiming
    private let database: any SQLDatabase
    private let logger: Logger
    private let state: Mutex<State>

    init(log: EventLog, database: any SQLDatabase, timing: EventFeedTiming, logger: Logger) {
        self.log = log
        self.database = database
        self.timing = timing
        self.logger = logger
        let gauge = Gauge(label: "tessera_event_followers")
        self.state = Mutex(State(members: StreamMembers(lifetime: timing.lifetime, gauge: gauge)))
    }

    /// Adds a stream; the first one starts the reader at the log's end in `now`. `client`: the token's.
    func join(_ now: LogEdges, client: String?, channel: any Channel) -> EventFollower {
        let (follower, others, old) = state.withLock { state in
            var others: [EventFollower] = []
            var old: Task<Void, Never>?
            if let tail = state.tail, tail.epoch != now.epoch {
                others = state.members.removeAll()
                old = tail.work
                state.tail = nil
            }
            if state.tail == nil {
                state.tail = Tail(
                    epoch: now.epoch,
                    start: now.newest,
                    end: now.newest,
                    lastRead: .now,
                    work: Task { await self.work(now.epoch) }
                )
            }
            return (state.members.add(client ?? "", channel: channel), others, old)
        }
        old?.cancel()
        others.signal(.end)
        return follower
    }

    /// Removes a stream; the last one stops the reader.
    func leave(_ follower: EventFollower) {
        let work = state.withLock { state -> Task<Void, Never>? in
            state.members.remove(follower)
            guard state.members.count == 0 else { return nil }
            defer { state.tail = nil }
            return state.tail?.work
        }
        work?.cancel()
    }

    var count: Int { state.withLock { $0.members.count } }

    func take(after seq: Int64, epoch: String) -> Taken {
        state.withLock { state in
            guard let tail = state.tail, tail.epoch == epoch else { return .over }
            if seq < tail.start { return .behind(tail.start) }
            if seq >= tail.end { return .upToDate(seq) }
            var (low, high) = (0, tail.entries.count)
            while low < high {
                let middle = (low + high) / 2
                if tail.entries[middle].seq > seq { high = middle } else { low = middle + 1 }
            }
            let entries = tail.entries[low...].prefix(Self.batchSize)
            return entries.isEmpty ? .upToDate(tail.end) : .entries(Array(entries))
        }
    }

    private func work(_ epoch: String) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.readOn(epoch) }
            group.addTask { await self.keepTime(epoch) }
        }
    }

    private func readOn(_ epoch: String) async {
        for await _ in database.changes(of: Events.log) {
            guard await readNew(epoch) else { return }
        }
        if !Task.isCancelled { endAll(epoch) }
    }

    /// Returns false when the tail is over.
    private func readNew(_ epoch: String) async -> Bool {
        do {
            while let end = end(of: epoch) {
                let began = ContinuousClock.now
                let batch = try await log.read(after: end, limit: EventLog.chunk)
                guard batch.state.reaches(EventCursor(epoch: epoch, seq: end), .all) else {
                    logger.warning(
                        """
                        the event log is not the one that was followed, and every stream ends; after a recovery by other \
                        means than `tessera restore`, run `tessera restore --in-place`
                        """
                    )
                    endAll(epoch)
                    return false
                }
                publish(batch, epoch, readAt: began)
                if !batch.isFull { return true }
            }
            return false
        } catch {
            let isNew = state.withLock { state in
                defer { state.isUnreadable = true }
                return !state.isUnreadable
            }
            if isNew, !Task.isCancelled {
                logger.warning("the event log cannot be read", metadata: ["error": "\(error)"])
            }
            return true
        }
    }

    private func end(of epoch: String) -> Int64? {
        state.withLock { $0.tail?.epoch == epoch ? $0.tail?.end : nil }
    }

    private func publish(_ batch: EventBatch, _ epoch: String, readAt: ContinuousClock.Instant) {
        // The read counts, however long the rendering takes.
        state.withLock { state in
            state.isUnreadable = false
            if state.tail?.epoch == epoch { state.tail?.lastRead = readAt }
        }
        let entries = batch.events.map { Self.entry($0, epoch: epoch) }
        let followers = state.withLock { state -> [EventFollower] in
            guard state.tail?.epoch == epoch else { return [] }
            guard let last = entries.last else { return [] }
            state.tail?.append(entries, upTo: last.seq)
            return state.members.all
        }
        followers.signal(.events)
    }

    static func entry(_ event: StoredEvent, epoch: String) -> Entry {
        var json = JSONWriter(reserving: 256)
        event.write(to: &json, epoch: epoch)
        let frame = ServerSentEvent(
            id: EventCursor(epoch: epoch, seq: event.seq).text,
            name: event.kind,
            data: json.string
        )
        return Entry(seq: event.seq, kind: event.kind, frame: frame.bytes, endsClient: endedClient(event))
    }

    private static func endedClient(_ event: StoredEvent) -> EndedClientTokens? {
        guard event.kind == EventKind.clientTokensRevoked.rawValue,
            case .client(let id, let second)? = try? Revocation(kind: event.kind, data: Array(event.data.utf8))
        else { return nil }
        return EndedClientTokens(client: id, issuedBefore: second)
    }

    private func endAll(_ epoch: String) {
        let (work, followers) = state.withLock { state -> (Task<Void, Never>?, [EventFollower]) in
            guard let tail = state.tail, tail.epoch == epoch else { return (nil, []) }
            defer { state.tail = nil }
            return (tail.work, state.members.removeAll())
        }
        followers.signal(.end)
        work?.cancel()
    }

    // MARK: Time

    private func keepTime(_ epoch: String) async {
        for await _ in PeriodicTicks(every: timing.tick) {
            let now = ContinuousClock.now
            let (followers, lastRead) = state.withLock { state in
                (state.members.all, state.tail?.epoch == epoch ? state.tail?.lastRead : nil)
            }
            guard let lastRead else { return }
            if lastRead + timing.closeAfterLag <= now {
                logger.warning("the event log has not been readable for too long; every stream ends")
                return endAll(epoch)
            }
            followers.tick(at: now, timing, heartbeats: lastRead + timing.heartbeatMaxLag > now)
        }
    }
}

extension EventFeed.Tail {
    /// Appends, and drops the oldest quarter when there are too many.
    fileprivate mutating func append(_ new: [EventFeed.Entry], upTo last: Int64) {
        entries += new
        end = last
        guard entries.count > EventFeed.tailLimit else { return }
        let surplus = entries.count - EventFeed.tailLimit * 3 / 4
        start = entries[surplus - 1].seq
        entries.removeFirst(surplus)
    }
}
