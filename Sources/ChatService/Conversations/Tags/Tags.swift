// Tags: a person's own words on their conversations.
//
// A tag comes to be when it is first used and stays until it is deleted. Its name is unique per owner whatever its
// case; the spelling of the first use is shown. Conversations name their tags wherever they are told: the rows say
// whether they have any, and only for those that do the names are looked up, in the statement that reads the row. So
// a rename is one row, and is seen everywhere at once.
//
// Which tags a conversation has is among its own fields: a change moves its version, and `If-Match` guards it; so does the
// deletion of a tag, for each conversation that had it. How a tag is spelled is the tag's own field: a rename leaves the
// versions of conversations, and the change feed tells it of the tag.
import OpenSSLCrypto
import ServiceKit
import Storage

/// One row of `tags`.
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

    /// The list is in the order in which the tags came to be.
    var cursor: Cursor { Cursor(createdAt, id) }

    func write(to writer: inout JSONWriter) {
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
    let random: RandomSource
    let conversations: Conversations

    /// What happens to a conversation's tags.
    enum Change: Sendable {
        case replace([TagName])
        case add(TagName)
        case remove(TagName)
    }

    /// Changes the tags of a conversation and returns it. Throws `not_found`, `precondition_failed`, `user_inactive`,
    /// or a complaint about too many.
    func change(
        _ conversation: String,
        _ change: Change,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws -> Conversation {
        for _ in 0..<Conversations.attempts {
            var expected: Int64?
            if precondition != .none {
                let current = try await conversations.get(conversation, for: caller)
                try precondition.check(current.version)
                expected = current.version
            }
            let now = clock.now()
            let writes = statements(change, conversation, caller, expected, now)
            let results = try await database.run(Principals.willWrite(caller, at: now) + writes)
            if let row = results[results.count - 2].first { return try Conversation(row, whole: true) }
            try Principals.requireActive(results)
            if results[results.count - 1].isEmpty { throw APIError(.notFound) }
            // It is there and of no certain version, so there was no room.
            if expected == nil {
                throw APIError.field("tags", "out_of_range", "must be at most \(ConversationLimits.tags)")
            }
        }
        throw APIError(.conflict)
    }

    private func statements(
        _ change: Change,
        _ conversation: String,
        _ caller: Caller,
        _ expected: Int64?,
        _ now: Instant
    ) -> [BoundStatement] {
        var statements: [BoundStatement] = []
        var added: [TagName] = []
        var required: String?
        switch change {
        case .replace(let names):
            statements.append(TagStatements.clear(conversation, caller.id, expected))
            added = names
        case .add(let name):
            added = [name]
            required = name.key
        case .remove(let name):
            statements.append(TagStatements.remove(conversation, caller.id, expected, name.key))
        }
        for name in added {
            let id = UUIDv7.make(milliseconds: now.microseconds / 1000, random: random)
            statements.append(
                TagStatements.ensure(
                    id,
                    caller.id,
                    name.text,
                    name.key,
                    now,
                    conversation,
                    expected,
                    ConversationLimits.tags
                )
            )
            statements.append(
                TagStatements.add(conversation, caller.id, expected, name.key, ConversationLimits.tags)
            )
        }
        return statements + [
            TagStatements.changed(conversation, caller.id, expected, now, required),
            ConversationStatements.isVisible(conversation, caller.id),
        ]
    }

    /// A page of the caller's tags.
    func list(for caller: Caller, page: PageRequest) async throws -> Page<Tag> {
        let statement = page.direction == .forward ? TagStatements.later : TagStatements.earlier
        let edge = page.direction == .forward ? Cursor(Instant(microseconds: 0), "") : Cursor.beyondNewest
        let cursor = page.cursor ?? edge
        var unit = [statement(caller.id, cursor.instant, cursor.id, page.fetchCount)]
        if page.wantsCount { unit.append(TagStatements.total(caller.id)) }
        let results = try await database.run(unit)
        var answer = Page(fetched: try results[0].rows.map { try Tag($0) }, request: page, cursor: \.cursor)
        if page.wantsCount { answer.total = try results[1].first?.integer("total") }
        return answer
    }

    /// Gives a tag another name. Throws `not_found`, `tag_taken` or `user_inactive`.
    func rename(_ id: String, to name: TagName, by caller: Caller) async throws -> Tag {
        let now = clock.now()
        let results = try await database.run(
            Principals.willWrite(caller, at: now)
                + [
                    TagStatements.rename(id, caller.id, name.text, name.key, now),
                    TagStatements.isThere(id, caller.id),
                ]
        )
        if let row = results[Principals.leadingResults].first { return try Tag(row) }
        try Principals.requireActive(results)
        throw APIError(results[Principals.leadingResults + 1].isEmpty ? .notFound : .tagTaken)
    }

    /// Deletes a tag, after taking it off its conversations in units of 500. Throws `not_found` or `user_inactive`.
    func delete(_ id: String, by caller: Caller) async throws {
        var priority = UnitPriority.normal
        while true {
            let results = try await database.run(
                Principals.willWrite(caller, at: clock.now())
                    + [
                        TagStatements.lose(id, caller.id, Trash.batch),
                        TagStatements.takeOff(id, caller.id, Trash.batch),
                        TagStatements.delete(id, caller.id),
                        TagStatements.isThere(id, caller.id),
                    ],
                priority: priority
            )
            if !results[Principals.leadingResults + 2].isEmpty { return }
            try Principals.requireActive(results)
            if results[Principals.leadingResults + 3].isEmpty { throw APIError(.notFound) }
            priority = .long
        }
    }
}
