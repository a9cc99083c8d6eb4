// A fork: a new conversation that begins with a branch of another, from its root to one message.
//
// The copies have ids of their own, are numbered 1…n without the gaps that deleted messages left, and follow each other
// as the originals do. The fork has the title, model, settings, metadata and tags of the original, and says what it was
// made from; its slug, pin, archive, visibility and votes stay behind. Forking at the head duplicates.
//
// **A fork is seen whole or not at all.** It is read where the branch lies, then:
//   begin    makes the row at version 0 and in the trash, where nothing looks for it.
//   copy     500 messages at most to a transaction, and 4 MiB, but for a single one.
//   finish   gives it its counters and version 1, if all messages are there and none up to the tip was edited or
//            deleted since the branch was read. Otherwise what was copied is thrown away, and it begins anew.
// A branch that is one piece is one transaction, and from a megabyte on runs beside everybody's. What a dying process leaves
// of a longer one, the cleanup removes.
import OpenSSLCrypto
import ServiceKit
import Storage

/// Where a branch lies, as it was read.
struct ForkBranch: Sendable {
    let tip: String?
    let tipSequence: Int64
    /// Messages that are not deleted.
    let count: Int64
    /// What `finish` compares.
    let liveCount: Int64
    let versionSum: Int64
    /// Messages to copy from, the numbers they would have, and how many steps to go.
    let marks: [(id: String, number: Int64, steps: Int64)]
    /// Of the piece with the root, which is often the only one.
    let lastBytes: Int64
}

struct Forks: Sendable {
    static let attempts = 4
    /// What a transaction may copy beside everybody's.
    static let shortBytes: Int64 = 1 << 20

    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let conversations: Conversations
    let trash: Trash

    /// Forks a conversation at a message (its head, where `nil`). Throws `not_found`, `user_inactive`,
    /// `idempotency_key_reused`, `result_gone`, `conflict`, or a complaint about `message_id`.
    func fork(
        _ source: String,
        at message: String?,
        title: String?,
        by caller: Caller,
        once attempt: IdempotentAttempt? = nil
    ) async throws -> Outcome<Conversation> {
        if let attempt, let earlier = try await earlier(attempt, caller) { return earlier }
        for _ in 0..<Self.attempts {
            let branch = try await read(source, message, caller)
            let now = attempt?.identity.at ?? clock.now()
            let id = UUIDv7.make(milliseconds: now.microseconds / 1000, random: random)
            let owner = caller.id
            let copies = branch.marks.map { mark in
                ForkStatements.copy(
                    to: id,
                    from: source,
                    owner: owner,
                    message: mark.id,
                    number: mark.number,
                    steps: mark.steps
                )
            }
            let begin = [
                ForkStatements.begin(id, of: source, owner: owner, title: title, tip: branch.tip, at: now),
                TagStatements.copy(to: id, from: source, owner: owner),
            ]
            let isShort = copies.count <= 1
            if !isShort {
                // Each piece for itself, behind its own lock of the principal.
                for piece in [begin] + copies.map({ [$0] }) {
                    var transaction = PrincipalTransaction(by: caller, at: clock.now())
                    transaction.add(contentsOf: piece)
                    _ = try await database.run(transaction, priority: .long)
                }
            }
            var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: id)
            if isShort { transaction.add(contentsOf: begin + copies) }
            let finished = transaction.add(
                ForkStatements.finish(id, of: source, owner: owner, branch: branch, at: now)
            )
            if isShort { transaction.add(ConversationCounterStatements.dropDraft(id, owner: owner)) }
            let results: PrincipalResults
            do {
                results = try await database.run(
                    transaction,
                    priority: isShort && branch.lastBytes <= Self.shortBytes ? .normal : .long
                )
            } catch let error as APIError {
                if !isShort { try await discard(id, of: owner) }
                throw error
            }
            if let row = results[finished].first {
                return Outcome(value: try Conversation(row, whole: true), isReplay: false)
            }
            if !isShort { try await discard(id, of: owner) }
            if let record = results.earlier { return try await made(record.target, caller) }
        }
        throw APIError(.conflict)
    }

    /// Removes the copies of a fork that was not finished.
    private func discard(_ id: String, of owner: String) async throws {
        var transaction = Transaction(behind: owner)
        transaction.add(ForkStatements.discard(id, owner: owner))
        _ = try await database.run(transaction)
        try await Trash.purge(id, of: owner, in: database)
    }

    /// What an earlier attempt made, looked for before anything is copied.
    private func earlier(_ attempt: IdempotentAttempt, _ caller: Caller) async throws -> Outcome<Conversation>? {
        guard let record = try await attempt.earlier(by: caller, in: database) else { return nil }
        return try await made(record.target, caller)
    }

    private func made(_ id: String, _ caller: Caller) async throws -> Outcome<Conversation> {
        let conversation = try await conversations.made(id, for: caller, trashedAfter: clock.now() - trash.retention)
        return Outcome(value: conversation, isReplay: true)
    }

    private func read(_ source: String, _ message: String?, _ caller: Caller) async throws -> ForkBranch {
        var transaction = Transaction()
        let found = transaction.add(ForkStatements.source(source, owner: caller.id, at: message))
        let marked = transaction.add(ForkStatements.marks(source, owner: caller.id, at: message))
        let results = try await database.run(transaction, priority: .long)
        guard let row = results[found].first else { throw APIError(.notFound) }
        let tip = try row.optionalText("tip_id")
        if message != nil, try tip == nil || row.optionalInstant("tip_deleted_at") != nil {
            throw APIError.field("message_id", "invalid", "must be a message of this conversation")
        }
        // From the tip to the root: the last row has counted all.
        let last = results[marked].rows.last
        let count = try last?.integer("live") ?? 0
        let starts = try results[marked].rows.filter { try $0.integer("place") == 1 }
        let ends = try starts.dropFirst().map { try $0.integer("step") } + [(last?.integer("step") ?? 0) + 1]
        let marks = try zip(starts, ends).map { mark, end in
            let nearer = try mark.integer("live") - mark.integer("is_live")
            return (id: try mark.text("id"), number: count - nearer, steps: end - (try mark.integer("step")))
        }
        return ForkBranch(
            tip: tip,
            tipSequence: try row.integer("tip_seq"),
            count: count,
            liveCount: try row.integer("live_count"),
            versionSum: try row.integer("version_sum"),
            marks: marks,
            lastBytes: try last?.integer("bytes") ?? 0
        )
    }
}
