import ServiceKit
// The change feed's reading end: what happened to one person's own rows, in order and without a hole.
//
// A change says which row, what happened to it and its version, never what is in it: a client that hears of a version it
// does not have fetches the row. Rows are written by triggers in the transaction that makes them true (see
// migrations), so there is no way of writing that could forget to tell.
//
// **Nothing is skipped.** A change takes its number while its transaction holds the lock of the principal's row, so one
// person's numbers become visible in their order, and `seq > $after` misses none of them. Between people there is no
// such order, and none is needed.
//
// A cursor is `epoch:seq`. It is void (410) when the epoch is another's, when it lies beyond the newest number there ever
// was, and when it lies before the person's own horizon, up to which the cleanup may have taken their rows away; the
// horizon is read after the page. So what becomes of other people's rows makes nobody's cursor void, and the place of a
// client whom nothing happens to does not grow old, though reading a page locks and writes nothing. Where the log ends
// can be said of one person only: `end` takes their lock first, so whatever they change later has a greater number than
// any that is there.
import Storage

/// A change as it is told.
struct Change: Sendable {
    let seq: Int64
    let entity: String
    let entityID: String
    let conversationID: String?
    let op: String
    let version: Int64?
    let at: Instant

    init(_ row: Row) throws(StorageError) {
        seq = try row.integer("seq")
        entity = try row.text("entity")
        entityID = try row.text("entity_id")
        conversationID = try row.optionalText("conversation_id")
        op = try row.text("op")
        version = try row.optionalInteger("version")
        at = try row.instant("at")
    }

    func write(to writer: inout JSONWriter, epoch: String) {
        writer.object { writer in
            writer.field("id", EventCursor(epoch: epoch, seq: seq).text)
            writer.field("entity", entity)
            writer.field("entity_id", entityID)
            writer.field("conversation_id", conversationID)
            writer.field("op", op)
            writer.field("version", version)
            writer.field("at", at)
        }
    }
}

struct Changes: Sendable {
    static let log = OrderedLog(lockKey: 0x7E55_E7A0_0002, channel: "tessera_changes")

    let database: any SQLDatabase
    let clock: Clock

    /// The edges of the log, as one person has to do with it.
    struct State: Sendable {
        let epoch: String
        /// Of whomever, rows that are gone too.
        let newest: Int64
        /// Of the person's own rows.
        let horizon: Int64

        init(_ result: SQLResult) throws {
            guard let row = result.first else { throw StorageError.invalidRow(column: "epoch") }
            epoch = try row.text("epoch")
            horizon = try row.optionalInteger("horizon") ?? 0
            newest = max(try row.integer("newest"), try row.optionalInteger("newest_here") ?? 0)
        }

        /// Whether nothing that comes after the place is missing.
        func reaches(_ cursor: EventCursor) -> Bool {
            cursor.epoch == epoch && cursor.seq <= newest && cursor.seq >= horizon
        }
    }

    /// Where a reader begins.
    enum Start: Sendable, Hashable {
        /// With the oldest change that is still there.
        case oldest
        case after(EventCursor)
        /// With what comes from now on.
        case end
    }

    /// A stretch of one person's changes, and the edges of the log right after.
    struct Batch: Sendable {
        let changes: [Change]
        let isFull: Bool
        let state: State
    }

    func read(after seq: Int64, of principal: String, limit: Int) async throws -> Batch {
        var transaction = Transaction()
        let rows = transaction.add(ChangeStatements.after(seq, principal: principal, limit: limit))
        let state = transaction.add(ChangeStatements.state(principal: principal))
        let results = try await database.run(transaction)
        let changes = try results[rows].rows.map { row throws(StorageError) in try Change(row) }
        return Batch(changes: changes, isFull: changes.count == limit, state: try State(results[state]))
    }

    /// Where one person's changes end: everything of theirs up to there is visible to whoever reads from now on.
    func end(of caller: Caller) async throws -> EventCursor {
        var transaction = PrincipalTransaction(by: caller, at: clock.now())
        let state = transaction.add(ChangeStatements.state(principal: caller.id))
        // Reading needs no active person: only the lock is wanted.
        let found = try State(try await database.run(transaction.base)[state])
        return EventCursor(epoch: found.epoch, seq: found.newest)
    }

    /// The place to begin at. Throws `cursor_gone`.
    func open(_ start: Start, for caller: Caller) async throws -> EventCursor {
        switch start {
        case .end: return try await end(of: caller)
        case .oldest:
            let state = try await state(of: caller.id)
            return EventCursor(epoch: state.epoch, seq: state.horizon)
        case .after(let cursor):
            guard try await state(of: caller.id).reaches(cursor) else { throw try await gone(caller) }
            return cursor
        }
    }

    /// The complaint about a cursor that cannot be followed.
    func gone(_ caller: Caller) async throws -> APIError { .cursorGone(now: try await end(of: caller)) }

    func state(of principal: String) async throws -> State {
        try State(try await database.run(ChangeStatements.state(principal: principal)))
    }

    /// The greatest number of whomever that is visible, rows that are gone too.
    func newest() async throws -> Int64 {
        try State(try await database.run(ChangeStatements.state(principal: nil))).newest
    }

    /// Goes first in a transaction that removes changes; see `ChangeStatements.keepNewest`.
    static func keepNewest() -> BoundStatement { ChangeStatements.keepNewest() }

    /// A page for one request.
    struct Page: Sendable {
        let changes: [Change]
        let next: EventCursor
        let hasMore: Bool
    }

    /// Throws `cursor_gone`.
    func page(from start: Start, limit: Int, for caller: Caller) async throws -> Page {
        let cursor: EventCursor
        switch start {
        case .after(let given): cursor = given
        case .oldest, .end: cursor = try await open(start, for: caller)
        }
        let batch = try await read(after: cursor.seq, of: caller.id, limit: limit + 1)
        guard batch.state.reaches(cursor) else { throw try await gone(caller) }
        let changes = Array(batch.changes.prefix(limit))
        return Page(
            changes: changes,
            next: EventCursor(epoch: cursor.epoch, seq: changes.last?.seq ?? cursor.seq),
            hasMore: batch.changes.count > limit
        )
    }
}
