// Votes: one for each voter and message, up or down; none is no row.
//
// The message must be of the conversation in the path, and that the caller's own. A vote on a foreign message would
// reveal that it exists, and would conflict with its owner's.
import ServiceKit
import Storage

enum VoteValue: String, Sendable, CaseIterable {
    case up, down, none

    /// As stored.
    var number: Int64 { self == .up ? 1 : -1 }

    init(number: Int64) { self = number > 0 ? .up : .down }
}

/// One row of `votes`, or the answer for a message without one.
struct Vote: Sendable {
    let conversationID: String
    let messageID: String
    let userID: String
    let value: VoteValue
    let createdAt: Instant?
    let updatedAt: Instant?

    init(_ row: Row) throws(StorageError) {
        conversationID = try row.text("conversation_id")
        messageID = try row.text("message_id")
        userID = try row.text("user_id")
        value = VoteValue(number: try row.integer("value"))
        createdAt = try row.instant("created_at")
        updatedAt = try row.instant("updated_at")
    }

    init(noneOn message: String, in conversation: String, by user: String) {
        conversationID = conversation
        messageID = message
        userID = user
        value = .none
        createdAt = nil
        updatedAt = nil
    }

    var cursor: Cursor { Cursor(createdAt ?? Instant(microseconds: 0), messageID) }

    func writeMembers(to writer: inout JSONWriter) {
        writer.field("conversation_id", conversationID)
        writer.field("message_id", messageID)
        writer.field("user_id", userID)
        writer.field("value", value.rawValue)
        writer.field("created_at", createdAt)
        writer.field("updated_at", updatedAt)
    }
}

struct Votes: Sendable {
    let database: any SQLDatabase
    let clock: Clock

    /// Sets, changes or withdraws the caller's vote. Throws `not_found` or `user_inactive`.
    func vote(_ value: VoteValue, on message: String, in conversation: String, by caller: Caller) async throws -> Vote {
        let now = clock.now()
        var transaction = PrincipalTransaction(by: caller, at: now)
        let written = transaction.add(
            value == .none
                ? VoteStatements.remove(on: message, in: conversation, by: caller.id)
                : VoteStatements.set(value: value, on: message, in: conversation, by: caller.id, at: now)
        )
        let open = transaction.add(VoteStatements.isOpen(message: message, in: conversation, to: caller.id))
        let results = try await database.run(transaction)
        guard !results[open].isEmpty else { throw APIError(.notFound) }
        guard value != .none else { return Vote(noneOn: message, in: conversation, by: caller.id) }
        guard let row = results[written].first else { throw APIError(.conflict) }
        return try Vote(row)
    }

    /// The caller's votes in a conversation, in the order of voting. Throws `not_found`.
    func list(_ conversation: String, for caller: Caller, page: PageRequest) async throws -> Page<Vote> {
        let edge = page.direction == .forward ? Cursor(Instant(microseconds: 0), "") : Cursor.beyondNewest
        var transaction = Transaction()
        let visible = transaction.add(ConversationStatements.isVisible(id: conversation, owner: caller.id))
        let votes = transaction.add(
            VoteStatements.page(
                in: conversation,
                of: caller.id,
                direction: page.direction,
                from: page.cursor ?? edge,
                limit: page.fetchCount
            )
        )
        let total = page.wantsCount ? transaction.add(VoteStatements.count(in: conversation, of: caller.id)) : nil
        let results = try await database.run(transaction)
        guard !results[visible].isEmpty else { throw APIError(.notFound) }
        var answer = Page(fetched: try results[votes].rows.map { try Vote($0) }, request: page, cursor: \.cursor)
        if let total { answer.total = try results[total].first?.integer("total") }
        return answer
    }
}
