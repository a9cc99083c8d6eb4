// The read side of the change feed: the changes of one person's rows, in order and without a gap. A change has the row,
// the operation and the version, never content. Triggers write it in the transaction that causes it (see migrations).
//
// **Nothing is skipped.** A change gets its number under the lock of the principal's row. So one person's numbers
// become visible in order, and `seq > $after` misses none of them. Different people need no common order. The end of
// the log is defined per person only: `end` takes the person's lock first, so later changes have greater numbers.
//
// A cursor is `epoch:seq`. It is void (410) if its epoch is over, if it is beyond the newest number ever, or if it is
// before the person's own horizon, up to which the cleanup may have removed rows. The horizon is read after the page.
// So removals of other people's rows void no cursor, and an idle client's stays valid though a page locks nothing.
import ServiceKit
import Storage

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
        let (op, version) = (try row.text("op"), try row.optionalInteger("version"))
        // A conversation that went to the trash has a version; one that is gone for good has none. The program before
        // wrote -1 for it.
        let isConversation = entity == "conversation"
        self.version = version.flatMap { isConversation && $0 < 0 ? nil : $0 }
        self.op = isConversation && op == "delete" && self.version != nil ? "trash" : op
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

    /// `newest` counts the rows of all people, `horizon` those of one person.
    private static func edges(_ result: SQLResult) throws -> LogEdges {
        guard let row = result.first else { throw StorageError.invalidRow(column: "epoch") }
        return LogEdges(
            epoch: try row.text("epoch"),
            newest: max(try row.integer("newest"), try row.optionalInteger("newest_here") ?? 0),
            horizon: try row.optionalInteger("horizon") ?? 0
        )
    }

    enum Start: Sendable, Hashable {
        case oldest
        case after(EventCursor)
        case end
    }

    /// A range of one person's changes, and the edges of the log right after it.
    struct Batch: Sendable {
        let changes: [Change]
        let isFull: Bool
        let state: LogEdges
    }

    func read(after seq: Int64, of principal: String, limit: Int) async throws -> Batch {
        var transaction = Transaction()
        let rows = transaction.add(ChangeStatements.after(seq: seq, principal: principal, limit: limit))
        let state = transaction.add(ChangeStatements.state(principal: principal))
        let results = try await database.run(transaction)
        let changes = try results[rows].rows.map { row throws(StorageError) in try Change(row) }
        return Batch(changes: changes, isFull: changes.count == limit, state: try Self.edges(results[state]))
    }

    /// The end of one person's changes: everything up to it is visible to later reads.
    func end(of caller: Caller) async throws -> EventCursor {
        var transaction = PrincipalTransaction(by: caller, at: clock.now())
        let state = transaction.add(ChangeStatements.state(principal: caller.id))
        // A read needs no active person, only the lock.
        return try Self.edges(try await database.run(transaction.base)[state]).end
    }

    /// Throws `cursor_gone`.
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

    func gone(_ caller: Caller) async throws -> APIError { .cursorGone(now: try await end(of: caller)) }

    func state(of principal: String) async throws -> LogEdges {
        try Self.edges(try await database.run(ChangeStatements.state(principal: principal)))
    }

    /// The greatest visible number of all people, including removed rows.
    func newest() async throws -> Int64 {
        try Self.edges(try await database.run(ChangeStatements.state(principal: nil))).newest
    }

    /// First in a transaction that removes changes; see `ChangeStatements.keepNewest`.
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
