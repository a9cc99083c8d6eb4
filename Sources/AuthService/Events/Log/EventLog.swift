// The read side of the revocation feed: pages, and whether a cursor has a gap after it.
//
// A cursor is void in three cases, which all answer 410. Its epoch is over. It is beyond the newest event, because the
// log was rewound. Or it is before the horizon: the cleanup has removed later events.
//
// Events of `user.deleted` are never removed. A consumer of this kind alone has no horizon, and learns of every
// deletion even after a year.
//
// The order of the reads matters. The page comes before the horizon, so that a cleanup in between is seen. For
// `?since=` the newest number comes before the search, so that an event in between is not skipped.
import ServiceKit
import Storage

struct StoredEvent: Sendable {
    let seq: Int64
    let at: Instant
    let kind: String
    let userID: String?
    let sessionID: String?
    let data: String

    init(_ row: Row) throws(StorageError) {
        seq = try row.integer("seq")
        at = try row.instant("at")
        kind = try row.text("kind")
        userID = try row.optionalText("user_id")
        sessionID = try row.optionalText("session_id")
        data = try row.text("data")
    }

    func write(to writer: inout JSONWriter, epoch: String) {
        writer.object { writer in
            writer.field("id", EventCursor(epoch: epoch, seq: seq).text)
            writer.field("at", at)
            writer.field("kind", kind)
            writer.field("user_id", userID)
            writer.field("session_id", sessionID)
            writer.field("data", raw: data)
        }
    }
}

/// There is a gap after the cursor.
struct CursorGone: Error, Sendable {
    let end: EventCursor
}

/// A range of the log, and the log's edges right after the read.
struct EventBatch: Sendable {
    let events: [StoredEvent]
    /// Whether it reached its limit.
    let isFull: Bool
    let state: LogEdges
}

struct EventKinds: Sendable {
    /// `nil` for every kind.
    private let names: Set<String>?

    static let all = EventKinds(nil)

    init(_ kinds: Set<EventKind>?) { names = kinds.map { Set($0.map(\.rawValue)) } }

    func contain(_ kind: String) -> Bool { names?.contains(kind) ?? true }

    /// Whether none of them ever leaves the log.
    var arePermanent: Bool { names == [EventKind.userDeleted.rawValue] }
}

struct EventLog: Sendable {
    let database: any SQLDatabase
    let epochs: EventEpochs
    let clock: Clock

    /// Rows of one read, few enough that followers soon have the first.
    static let chunk = 250

    enum Start: Sendable, Hashable {
        /// The oldest event after which none is missing.
        case oldest
        case after(EventCursor)
        /// Everything within this time.
        case since(Duration)
    }

    /// The cursor, with the log's edges at that moment.
    ///
    /// - Throws: `CursorGone` if there is a gap after it.
    func open(_ start: Start, kinds: EventKinds) async throws -> (cursor: EventCursor, state: LogEdges) {
        let seq: Int64
        let state: LogEdges
        switch start {
        case .oldest:
            state = try await self.state()
            seq = kinds.arePermanent ? 0 : state.horizon
        case .after(let cursor):
            state = try await self.state()
            try state.require(cursor, kinds)
            seq = cursor.seq
        case .since(let duration):
            let moment = clock.now() - duration
            var transaction = Transaction()
            let edges = transaction.add(EventLogStatements.state())
            let first = transaction.add(EventLogStatements.first(since: moment))
            let results = try await database.run(transaction)
            state = try await self.state(results[edges])
            // Events before this moment may be gone; none where none ever went.
            let keptSince = try results[edges].first?.optionalInstant("kept_since")
            if let keptSince, moment < keptSince, !kinds.arePermanent {
                throw CursorGone(end: state.end)
            }
            seq = try results[first].first?.optionalInteger("first_seq").map { $0 - 1 } ?? state.newest
        }
        return (EventCursor(epoch: state.epoch, seq: seq), state)
    }

    /// Events of every kind after a number. The caller judges the edges.
    func read(after seq: Int64, limit: Int) async throws -> EventBatch {
        var transaction = Transaction()
        let page = transaction.add(EventLogStatements.after(seq: seq, limit: limit))
        let edges = transaction.add(EventLogStatements.state())
        let results = try await database.run(transaction)
        let events = try results[page].rows.map { row throws(StorageError) in try StoredEvent(row) }
        return EventBatch(events: events, isFull: events.count == limit, state: try await state(results[edges]))
    }

    struct Page: Sendable {
        let events: [StoredEvent]
        let next: EventCursor
        let hasMore: Bool
    }

    /// At most `limit` events of these kinds. A page may have fewer and more behind it, since a request reads a bounded
    /// part of the log.
    func page(from start: Start, kinds: EventKinds, limit: Int) async throws -> Page {
        let cursor: EventCursor
        if case .after(let given) = start {
            cursor = given
        } else {
            cursor = try await open(start, kinds: kinds).cursor
        }
        var events: [StoredEvent] = []
        var seq = cursor.seq
        for _ in 0..<Self.chunksPerPage {
            let batch = try await read(after: seq, limit: Self.chunk)
            try batch.state.require(EventCursor(epoch: cursor.epoch, seq: seq), kinds)
            for (index, event) in batch.events.enumerated() {
                seq = event.seq
                guard kinds.contain(event.kind) else { continue }
                events.append(event)
                guard events.count == limit else { continue }
                let hasMore = batch.isFull || index + 1 < batch.events.count
                return Page(events: events, next: EventCursor(epoch: cursor.epoch, seq: seq), hasMore: hasMore)
            }
            if !batch.isFull {
                return Page(events: events, next: EventCursor(epoch: cursor.epoch, seq: seq), hasMore: false)
            }
        }
        return Page(events: events, next: EventCursor(epoch: cursor.epoch, seq: seq), hasMore: true)
    }

    private static let chunksPerPage = 40

    func state() async throws -> LogEdges {
        try await state(try await database.run(EventLogStatements.state()))
    }

    private func state(_ result: SQLResult) async throws -> LogEdges {
        guard let row = result.first else { throw StorageError.invalidRow(column: "newest") }
        let horizon = try row.optionalInteger("horizon") ?? 0
        var epoch = try row.optionalText("epoch") ?? ""
        // A log that was never read has no name yet.
        if epoch.isEmpty { epoch = try await epochs.current() }
        return LogEdges(
            epoch: epoch,
            newest: max(try row.optionalInteger("newest") ?? 0, horizon),
            horizon: horizon
        )
    }
}

extension LogEdges {
    /// Whether no event of these kinds after the cursor is missing.
    func reaches(_ cursor: EventCursor, _ kinds: EventKinds) -> Bool {
        reaches(cursor, everKept: kinds.arePermanent)
    }

    func require(_ cursor: EventCursor, _ kinds: EventKinds) throws(CursorGone) {
        guard reaches(cursor, kinds) else { throw CursorGone(end: end) }
    }
}
