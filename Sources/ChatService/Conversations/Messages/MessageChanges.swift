// Changes of existing messages. Each transaction locks the conversation's row after the caller's.
//
// **A patch** changes the row in place and counts its version. `edited_at` is set if content changes after the message
// is complete. A new version of a question is no patch but a sibling, appended with the same parent.
//
// **A deletion** leaves a tombstone: number, place in the tree and tokens stay, content goes. Its children move to its
// parent, so every branch stays whole. If they are more than one transaction moves (MessageBatch), they move first.
//
// **A truncation** deletes from the newest message down to a number, in transactions of bounded size. After each the
// conversation is valid: each message has its parent, counters are exact, and the head is an existing message. After
// the last one no message is above the number, whatever was appended meanwhile.
import ServiceKit
import Storage

extension Messages {
    /// Throws `not_found`, `precondition_failed`, `user_inactive`, or `conflict` if the row changed under every
    /// attempt.
    func change(
        _ id: String,
        in conversation: String,
        _ patch: MessagePatch,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws -> Message {
        try await Optimistic.retry {
            // The change names the version that it was computed from.
            var expected: Int64?
            var metadata: String?
            if patch.metadata != nil || precondition != .none || patch.isEmpty || patch.emptyContent != nil {
                let current = try await get(id, in: conversation, for: caller)
                try precondition.check(current)
                if let field = patch.emptyContent, try current.role == .user {
                    throw APIError.field(field, "too_short", MessageDraft.saysNothing, .atLeast(1))
                }
                if patch.isEmpty { return .done(current) }
                metadata = try patch.metadata.map { try MetadataMerge.apply($0, to: try current.metadata) }
                if let metadata, metadata.utf8.count > ConversationLimits.json {
                    let detail = "must be at most \(ConversationLimits.json) bytes when merged"
                    throw APIError.field("metadata", "too_long", detail, .atMost(ConversationLimits.json))
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
                tokensTotal: patch.tokensTotal,
                model: patch.model
            )
            var transaction = PrincipalTransaction(by: caller, at: now)
            let locked = transaction.add(
                ConversationCounterStatements.lock(conversation: conversation, owner: caller.id)
            )
            if patch.changesTokens { transaction.add(contentsOf: Usage.correct(change: tokens, at: now)) }
            // Any change moves the conversation to the top of the list.
            transaction.add(ConversationCounterStatements.adjustTokens(change: tokens, at: now))
            let changed = transaction.add(
                MessageChangeStatements.change(patch: patch, tokens: tokens, metadata: metadata, at: now)
            )
            let results = try await database.run(transaction)
            if let row = results[changed].first { return .done(try Message(row, in: conversation)) }
            if results[locked].isEmpty || expected == nil { throw APIError(.notFound) }
            return .outdated
        }
    }

    /// Throws `not_found`, `precondition_failed`, `user_inactive`, or `conflict` if the row changed under every
    /// attempt.
    func delete(
        _ id: String,
        in conversation: String,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws {
        try await Optimistic.retry {
            let expected = try await precondition.expectedVersion {
                try await get(id, in: conversation, for: caller)
            }
            let now = clock.now()
            let owner = caller.id
            var transaction = PrincipalTransaction(by: caller, at: now)
            let locked = transaction.add(
                ConversationCounterStatements.lock(conversation: conversation, owner: caller.id)
            )
            transaction.add(
                ConversationCounterStatements.deduct(
                    message: id,
                    from: conversation,
                    owner: owner,
                    expected: expected,
                    at: now
                )
            )
            let deleted = transaction.add(
                MessageChangeStatements.delete(
                    message: id,
                    from: conversation,
                    owner: owner,
                    expected: expected,
                    at: now
                )
            )
            transaction.add(MessageChangeStatements.adoptChildren(of: id, in: conversation, owner: owner, at: now))
            let results = try await database.run(transaction)
            if !results[deleted].isEmpty { return .done(()) }
            if results[locked].isEmpty { throw APIError(.notFound) }
            if try await adoptChildren(of: id, in: conversation, expected, by: caller) { return .outdated }
            if expected == nil { throw APIError(.notFound) }
            return .outdated
        }
    }

    /// Moves all children of a message to its parent, in transactions of bounded size. In between, the message still
    /// exists with fewer children.
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
            let locked = transaction.add(
                ConversationCounterStatements.lock(conversation: conversation, owner: caller.id)
            )
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

    /// After so many transactions another client adds children as fast as this moves them.
    private static let adoptions = 10_000

    struct Truncation: Sendable {
        let deleted: Int
        let messageCount: Int64
        let lastSequence: Int64
        let headMessageID: String?
    }

    /// Messages per transaction of a truncation: of the first, which is usually the only one, and of the others, which
    /// are known to be long.
    static let truncationSizes = (first: 100, next: 500)

    /// Deletes every message above a number. Throws `not_found`, `user_inactive`, or `conflict` if others append faster
    /// than this deletes.
    func truncate(_ conversation: String, after sequence: Int64, by caller: Caller) async throws -> Truncation {
        var deleted = 0
        var size = Self.truncationSizes.first
        var limit = Int64.max
        while Int64(deleted) < limit {
            let now = clock.now()
            let owner = caller.id
            var transaction = PrincipalTransaction(by: caller, at: now)
            let locked = transaction.add(
                ConversationCounterStatements.lock(conversation: conversation, owner: caller.id)
            )
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
                MessageChangeStatements.truncate(
                    conversation: conversation,
                    owner: owner,
                    after: sequence,
                    limit: size,
                    at: now
                )
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
            // Twice the first count is enough, unless appends outrun the truncation.
            if limit == .max { limit = 2 * (left.lastSequence - sequence) + Int64(Self.truncationSizes.next) }
            size = Self.truncationSizes.next
        }
        throw APIError(.conflict)
    }
}
