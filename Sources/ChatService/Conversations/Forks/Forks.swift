// A fork: a new conversation that begins with a branch of another one, from its root to one message.
//
// The copies have ids of their own, are numbered 1…n without gaps, and follow each other as the originals do. The fork
// has the title, model, settings, metadata and tags of the original, and names its source. Slug, pin, archive,
// visibility and votes are not copied. Forking at the head duplicates.
//
// **A fork is visible whole or not at all.** The branch is located first, then:
//
//     begin    makes the row at version 0 and in the trash, where no request finds it.
//     copy     at most 500 messages and half a megabyte per transaction, except for a single larger message.
//     finish   sets its counters and version 1, if all messages are there and none up to the tip was edited or
//              deleted since the branch was read. Otherwise the copies are dropped, and it begins again.
//
// A branch of one piece is one transaction; from a megabyte on it runs in the slow pool. The cleanup removes what a
// dying process leaves of a longer one.
import ServiceKit
import Storage

struct ForkBranch: Sendable {
    let tip: String?
    let tipSequence: Int64
    let count: Int64
    /// Compared by `finish`.
    let lastChange: Int64
    /// From the tip to the root.
    let pieces: [Piece]

    /// Messages that one transaction copies.
    struct Piece: Sendable {
        /// Where it begins, towards the root.
        let message: String
        /// Messages, deleted ones included.
        var steps: Int64 = 0
        /// Messages that are not deleted.
        var count: Int64 = 0
        /// Messages of the branch nearer to the tip that are not deleted.
        let before: Int64
        var bytes: Int64 = 0

        mutating func add(bytes: Int64, isLive: Bool) {
            steps += 1
            count += isLive ? 1 : 0
            self.bytes += bytes
        }
    }
}

struct Forks: Sendable {
    static let attempts = 4
    /// The limit of a copy outside the slow pool.
    static let walked = 2000
    /// What a transaction may copy beside all others.
    static let shortBytes: Int64 = 1 << 20

    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let conversations: Conversations
    let trash: Trash

    /// Forks at a message, or at the head for `nil`. Throws `not_found`, `user_inactive`, `idempotency_key_reused`,
    /// `result_gone`, `conflict`, or an error about `message_id`.
    func fork(
        _ source: String,
        at message: String?,
        title: RequestText?,
        by caller: Caller,
        once attempt: IdempotentAttempt? = nil
    ) async throws -> Outcome<Conversation> {
        if let attempt, let earlier = try await earlier(attempt, caller) { return earlier }
        return try await Optimistic.retry(attempts: Self.attempts) {
            let branch = try await read(source, message, caller)
            let now = attempt?.identity.at ?? clock.now()
            let id = ids.make(at: now)
            let owner = caller.id
            let copies = branch.pieces.map { piece in
                let number = branch.count - piece.before
                return [
                    ForkStatements.copy(
                        to: id,
                        from: source,
                        owner: owner,
                        message: piece.message,
                        number: number,
                        steps: piece.steps
                    ),
                    ForkStatements.add(past: number - piece.count, upTo: number, to: id, owner: owner),
                ]
            }
            let begin = [
                ForkStatements.begin(fork: id, of: source, owner: owner, title: title, tip: branch.tip, at: now),
                TagStatements.copy(to: id, from: source, owner: owner),
            ]
            let isShort = copies.count <= 1
            if !isShort {
                // Each piece has its own transaction and lock of the principal.
                for piece in [begin] + copies {
                    var transaction = PrincipalTransaction(by: caller, at: clock.now())
                    transaction.add(contentsOf: piece)
                    _ = try await database.run(transaction, priority: .long)
                }
            }
            var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: id)
            if isShort { transaction.add(contentsOf: begin + copies.joined()) }
            let finished = transaction.add(
                ForkStatements.finish(fork: id, of: source, owner: owner, branch: branch, at: now)
            )
            if isShort { transaction.add(ConversationCounterStatements.dropDraft(conversation: id, owner: owner)) }
            let results: PrincipalResults
            do {
                results = try await database.run(
                    transaction,
                    priority: isShort && (branch.pieces.first?.bytes ?? 0) <= Self.shortBytes ? .normal : .long
                )
            } catch let error as APIError {
                if !isShort { try await discard(id, of: owner) }
                throw error
            }
            if let row = results[finished].first {
                return .done(Outcome(value: try Conversation(row, whole: true), isReplay: false))
            }
            if !isShort { try await discard(id, of: owner) }
            if let record = results.earlier { return .done(try await made(record.target, caller)) }
            return .outdated
        }
    }

    private func discard(_ id: String, of owner: String) async throws {
        var transaction = Transaction(behind: owner)
        transaction.add(ForkStatements.discard(fork: id, owner: owner))
        _ = try await database.run(transaction)
        try await Trash.purge(id, of: owner, in: database)
    }

    /// The result of an earlier attempt, before anything is copied.
    private func earlier(_ attempt: IdempotentAttempt, _ caller: Caller) async throws -> Outcome<Conversation>? {
        guard let record = try await attempt.earlier(by: caller, in: database) else { return nil }
        return try await made(record.target, caller)
    }

    private func made(_ id: String, _ caller: Caller) async throws -> Outcome<Conversation> {
        let conversation = try await conversations.made(id, for: caller, trashedAfter: clock.now() - trash.retention)
        return Outcome(value: conversation, isReplay: true)
    }

    private func read(_ source: String, _ message: String?, _ caller: Caller) async throws -> ForkBranch {
        let found = try await database.run(ForkStatements.source(of: source, owner: caller.id, at: message))
        guard let row = found.first else { throw APIError(.notFound) }
        let tip = try row.optionalText("tip_id")
        if message != nil, try tip == nil || row.optionalInstant("tip_deleted_at") != nil {
            throw APIError.field("message_id", "invalid", "must be a message of this conversation")
        }
        var pieces: [ForkBranch.Piece] = []
        var count: Int64 = 0
        var (next, last) = (tip, Int64.max)
        while let start = next {
            let walk = ForkStatements.walk(conversation: source, from: start, steps: Self.walked)
            let rows = try await database.run(walk, priority: .long).rows
            // Numbers fall towards the root. A message whose parent came later ends the branch: nothing goes in
            // circles.
            guard let first = rows.first, let root = rows.last, try first.integer("seq") < last else { break }
            for row in rows {
                let bytes = try row.integer("bytes")
                let isLive = try row.integer("is_live") == 1
                if pieces.last.map({ MessageBatch.isFull($0.steps, bytes: $0.bytes + bytes) }) ?? true {
                    pieces.append(ForkBranch.Piece(message: try row.text("id"), before: count))
                }
                pieces[pieces.count - 1].add(bytes: bytes, isLive: isLive)
                count += isLive ? 1 : 0
            }
            (next, last) = (try root.optionalText("parent_id"), try root.integer("seq"))
        }
        return ForkBranch(
            tip: tip,
            tipSequence: try row.integer("tip_seq"),
            count: count,
            lastChange: try row.integer("last_change"),
            pieces: pieces
        )
    }
}
