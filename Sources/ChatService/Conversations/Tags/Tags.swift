// Tags: a person's labels of conversations.
//
// A tag exists from its first use until it is deleted. Its name is unique per owner, whatever its case, with the
// spelling of the first use. A conversation's row says whether it has tags, and only then the reading statement looks
// up their names. So a rename is one row, and visible everywhere at once.
//
// The set of tags is one of the conversation's own fields: a change raises its version, and `If-Match` guards it, also
// when a tag is deleted. The spelling is the tag's own field: a rename leaves the versions of conversations, and the
// change feed reports the tag.
import ServiceKit
import Storage

struct Tag: Sendable {
    let id: String
    let name: String
    let conversationCount: Int64
    let createdAt: Instant
    let updatedAt: Instant

    init(_ row: Row) throws(StorageError) {
        id = try row.text("id")
        name = try row.text("name")
        createdAt = try row.instant("created_at")
        updatedAt = try row.instant("updated_at")
        conversationCount = try row.integer("conversation_count")
    }

    var cursor: Cursor { Cursor(createdAt, id) }

    func writeMembers(to writer: inout JSONWriter) {
        writer.field("id", id)
        writer.field("name", name)
        writer.field("conversation_count", conversationCount)
        writer.field("created_at", createdAt)
        writer.field("updated_at", updatedAt)
    }
}

struct Tags: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let conversations: Conversations

    enum Change: Sendable {
        case replace([TagName])
        case add(TagName)
        case remove(TagName)
    }

    /// Returns the conversation. Throws `not_found`, `precondition_failed`, `user_inactive`, or an error about too
    /// many.
    func change(
        _ conversation: String,
        _ change: Change,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws -> Conversation {
        try await Optimistic.retry {
            let expected = try await precondition.expectedVersion {
                try await conversations.get(conversation, for: caller)
            }
            let now = clock.now()
            var transaction = PrincipalTransaction(by: caller, at: now)
            let changed = add(
                change: change,
                of: conversation,
                by: caller,
                expected: expected,
                at: now,
                to: &transaction
            )
            let visible = transaction.add(ConversationStatements.isVisible(id: conversation, owner: caller.id))
            let results = try await database.run(transaction)
            if let row = results[changed].first { return .done(try Conversation(row, whole: true)) }
            if results[visible].isEmpty { throw APIError(.notFound) }
            // It exists and no version was required, so there was no room.
            if expected == nil {
                let detail = "must be at most \(ConversationLimits.tags)"
                throw APIError.field("tags", "out_of_range", detail, .atMost(ConversationLimits.tags))
            }
            return .outdated
        }
    }

    /// Adds the writes of a change. The handle's result is the conversation, if it changed.
    private func add(
        change: Change,
        of conversation: String,
        by caller: Caller,
        expected: Int64?,
        at now: Instant,
        to transaction: inout PrincipalTransaction
    ) -> Transaction.Handle {
        var added: [TagName] = []
        var required: TagName?
        switch change {
        case .replace(let names):
            transaction.add(TagStatements.clear(conversation: conversation, owner: caller.id, expected: expected))
            added = names
        case .add(let name):
            added = [name]
            required = name
        case .remove(let name):
            transaction.add(TagStatements.remove(name: name, from: conversation, owner: caller.id, expected: expected))
        }
        let limit = Int64(ConversationLimits.tags)
        for name in added {
            let id = ids.make(at: now)
            transaction.add(
                TagStatements.ensure(
                    id: id,
                    named: name,
                    for: conversation,
                    owner: caller.id,
                    expected: expected,
                    limit: limit,
                    at: now
                )
            )
            transaction.add(
                TagStatements.add(name: name, to: conversation, owner: caller.id, expected: expected, limit: limit)
            )
        }
        return transaction.add(
            TagStatements.changed(
                conversation: conversation,
                owner: caller.id,
                expected: expected,
                required: required,
                at: now
            )
        )
    }

    func list(for caller: Caller, page: PageRequest) async throws -> Page<Tag> {
        let edge = page.direction == .forward ? Cursor(Instant(microseconds: 0), "") : Cursor.beyondNewest
        var transaction = Transaction()
        let tags = transaction.add(
            TagStatements.page(
                of: caller.id,
                direction: page.direction,
                from: page.cursor ?? edge,
                limit: page.fetchCount
            )
        )
        let total = page.wantsCount ? transaction.add(TagStatements.total(of: caller.id)) : nil
        let results = try await database.run(transaction)
        var answer = Page(fetched: try results[tags].rows.map { try Tag($0) }, request: page, cursor: \.cursor)
        if let total { answer.total = try results[total].first?.integer("total") }
        return answer
    }

    /// Throws `not_found`, `tag_taken` or `user_inactive`.
    func rename(_ id: String, to name: TagName, by caller: Caller) async throws -> Tag {
        let now = clock.now()
        var transaction = PrincipalTransaction(by: caller, at: now)
        let renamed = transaction.add(TagStatements.rename(id: id, owner: caller.id, to: name, at: now))
        let exists = transaction.add(TagStatements.exists(id: id, owner: caller.id))
        let results = try await database.run(transaction)
        if let row = results[renamed].first { return try Tag(row) }
        throw APIError(results[exists].isEmpty ? .notFound : .tagTaken)
    }

    /// Detaches the tag first, in transactions of 500 conversations. Throws `not_found` or `user_inactive`.
    func delete(_ id: String, by caller: Caller) async throws {
        var priority = TransactionPriority.normal
        while true {
            var transaction = PrincipalTransaction(by: caller, at: clock.now())
            transaction.add(TagStatements.bumpVersions(id: id, owner: caller.id, limit: Trash.batchSize))
            transaction.add(TagStatements.detach(id: id, owner: caller.id, limit: Trash.batchSize))
            let deleted = transaction.add(TagStatements.delete(id: id, owner: caller.id))
            let exists = transaction.add(TagStatements.exists(id: id, owner: caller.id))
            let results = try await database.run(transaction, priority: priority)
            if !results[deleted].isEmpty { return }
            if results[exists].isEmpty { throw APIError(.notFound) }
            priority = .long
        }
    }
}
