// What happens to a message that is there: it is patched, deleted, or truncated away with all that came after it.
//
// **A patch** changes the row in place and counts its version: that is how a reply in progress grows and is completed,
// and how a note is corrected. `edited_at` tells of content that changed after the message was complete. A question
// that is asked anew is not a patch but a sibling, appended with the same parent.
//
// **A deletion** leaves a tombstone: the row keeps its number, its place in the tree and the tokens that were spent on
// it, and loses what it said. Its children become its parent's children, so every branch stays whole without it. Where
// they are more than a transaction moves (see MessageBatch), they are moved before it goes.
//
// **A truncation** deletes from the newest message down to a number, in transactions of bounded size. Between two of them the
// conversation is what a truncation to a higher number would have left: no message without its parent, counters exact,
// the head on a message that is there. After the last one there is none past the number, whatever was appended in the
// meantime. A truncation that fits into one transaction is one.
//
// Each transaction takes the lock of the conversation's row behind that of the caller's.
import ServiceKit
import Storage

extension Messages {
    /// How often a patch is tried again when others change the row in between.
    private static let attempts = 32

    // MARK: Patching

    /// Throws `not_found`, `precondition_failed`, `user_inactive`, or `conflict` when the row changed under every
    /// attempt.
    func change(
        _ id: String,
        in conversation: String,
        _ patch: MessagePatch,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws -> Message {
        for _ in 0..<Self.attempts {
            // What the change depends on is read first, and named by version in the change itself.
            var expected: Int64?
            var metadata: String?
            if patch.metadata != nil || precondition != .none || patch.isEmpty {
                let current = try await get(id, in: conversation, for: caller)
                try precondition.check(current.version)
                if patch.isEmpty { return current }
                metadata = try patch.metadata.map { try MetadataMerge.apply($0, to: try current.metadata) }
                if let metadata, metadata.utf8.count > ConversationLimits.json {
                    let most = "must be at most \(ConversationLimits.json) bytes when merged"
                    throw APIError.field("metadata", "too_long", most)
                }
                expected = current.version
            }
            let now = clock.now()
            let tokens = TokenChange(
                conversation: conversation,
                owner: caller.id,
                message: id,
                expected: expected,
                tokensIn: patch.tokensIn,
                tokensOut: patch.tokensOut,
                tokensTotal: patch.tokensTotal
            )
            var transaction = PrincipalTransaction(by: caller, at: now)
            let locked = transaction.add(ConversationCounterStatements.lock(conversation, owner: caller.id))
            if patch.changesTokens { transaction.add(contentsOf: Usage.correct(tokens, at: now)) }
            // Any change is one of the conversation, which comes to the top of the list.
            transaction.add(ConversationCounterStatements.adjustTokens(tokens, at: now))
            let changed = transaction.add(
                MessageChangeStatements.change(patch, tokens: tokens, metadata: metadata, at: now)
            )
            let results = try await database.run(transaction)
            if let row = results[changed].first { return try Message(row, in: conversation) }
            if results[locked].isEmpty || expected == nil { throw APIError(.notFound) }
        }
        throw APIError(.conflict)
    }

    // MARK: Deleting

    /// Throws `not_found`, `precondition_failed`, `user_inactive`, or `conflict` when the row changed under every
    /// attempt.
    func delete(
        _ id: String,
        in conversation: String,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws {
        for _ in 0..<Self.attempts {
            var expected: Int64?
            if precondition != .none {
                let current = try await get(id, in: conversation, for: caller)
                try precondition.check(current.version)
                expected = current.version
            }
            let now = clock.now()
            let owner = caller.id
            var transaction = PrincipalTransaction(by: caller, at: now)
            let locked = transaction.add(ConversationCounterStatements.lock(conversation, owner: caller.id))
            transaction.add(
                ConversationCounterStatements.deduct(id, from: conversation, owner: owner, expected: expected, at: now)
            )
            let deleted = transaction.add(
                MessageChangeStatements.delete(id, from: conversation, owner: owner, expected: expected, at: now)
            )
            transaction.add(MessageChangeStatements.adoptChildren(of: id, in: conversation, owner: owner, at: now))
            let results = try await database.run(transaction)
            if !results[deleted].isEmpty { return }
            if results[locked].isEmpty { throw APIError(.notFound) }
            if try await adoptChildren(of: id, in: conversation, expected, by: caller) { continue }
            if expected == nil { throw APIError(.notFound) }
        }
        throw APIError(.conflict)
    }

    /// Gives all children of a message to its parent, in units of bounded size. Between two of them the message is still
    /// there, with fewer children.
    ///
    /// - Returns: whether there were any.
    private func adoptChildren(
        of id: String,
        in conversation: String,
        _ expected: Int64?,
        by caller: Caller
    ) async throws -> Bool {
        for count in 0..<Self.adoptions {
            let now = clock.now()
            var transaction = PrincipalTransaction(by: caller, at: now)
            let locked = transaction.add(ConversationCounterStatements.lock(conversation, owner: caller.id))
            let adopted = transaction.add(
                MessageChangeStatements.adoptSomeChildren(
                    of: id,
                    in: conversation,
                    owner: caller.id,
                    expected: expected,
                    at: now
                )
            )
            let results = try await database.run(transaction, priority: .long)
            if results[locked].isEmpty { throw APIError(.notFound) }
            if results[adopted].affected == 0 { return count > 0 }
        }
        throw APIError(.conflict)
    }

    /// After how many units somebody adds children as fast as this takes them away.
    private static let adoptions = 10_000

    // MARK: Truncating

    /// What a truncation did, and what it left.
    struct Truncation: Sendable {
        let deleted: Int
        let messageCount: Int64
        let lastSequence: Int64
        let headMessageID: String?
    }

    /// How many messages a unit of a truncation deletes: the first, which most often is the only one, and the others,
    /// which are known to be long.
    static let truncationSizes = (first: 100, next: 500)

    /// Deletes every message past a number. Throws `not_found`, `user_inactive`, or `conflict` when others append
    /// faster than this deletes.
    func truncate(_ conversation: String, after sequence: Int64, by caller: Caller) async throws -> Truncation {
        var deleted = 0
        var size = Self.truncationSizes.first
        var most = Int64.max
        while Int64(deleted) < most {
            let now = clock.now()
            let owner = caller.id
            var transaction = PrincipalTransaction(by: caller, at: now)
            let locked = transaction.add(ConversationCounterStatements.lock(conversation, owner: caller.id))
            transaction.add(
                ConversationCounterStatements.deductNewest(
                    of: conversation,
                    owner: owner,
                    after: sequence,
                    limit: size,
                    at: now
                )
            )
            let truncated = transaction.add(
                MessageChangeStatements.truncate(conversation, owner: owner, after: sequence, limit: size, at: now)
            )
            let remaining = transaction.add(
                ConversationCounterStatements.remaining(in: conversation, owner: owner, after: sequence)
            )
            let results = try await database.run(transaction, priority: deleted == 0 ? .normal : .long)
            if results[locked].isEmpty { throw APIError(.notFound) }
            guard let row = results[remaining].first else { throw APIError(.internalError) }
            let count = results[truncated].affected
            deleted += count
            let left = Truncation(
                deleted: deleted,
                messageCount: try row.integer("message_count"),
                lastSequence: try row.integer("last_seq"),
                headMessageID: try row.optionalText("head_message_id")
            )
            if try row.integer("has_more") == 0 || count == 0 { return left }
            // Twice what there was to delete at first is enough for any truncation but one that is being outrun.
            if most == .max { most = 2 * (left.lastSequence - sequence) + Int64(Self.truncationSizes.next) }
            size = Self.truncationSizes.next
        }
        throw APIError(.conflict)
    }
}
