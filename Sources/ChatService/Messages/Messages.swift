// The messages of a conversation, in the order of their numbers.
//
// A message is appended and from then on has its `seq` for ever; there is a row for each of 1…`last_seq`. It names
// its parent, so that branches (an edited question, a regenerated answer) are siblings; without a word from the
// caller it follows the newest message. Only the conversation's owner comes here, and to everybody else neither the
// conversation nor its messages exist.
import OpenSSLCrypto
import Storage
import WebSupport

/// Appending and reading messages.
struct Messages: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let quotas: Quotas

    /// An id for a message whose caller said none.
    func makeID() -> String {
        UUIDv7.make(milliseconds: clock.now().microseconds / 1000, random: random)
    }

    /// Appends all of the messages or none. Throws `not_found`, `id_taken`, `quota_exceeded`, `user_inactive`, or a
    /// complaint about `parent_id`.
    func append(_ drafts: [MessageDraft], to conversation: String, by caller: Caller) async throws -> [Message] {
        let now = clock.now()
        guard
            let append = MessageAppend(to: conversation, by: caller, drafts, isNew: false, at: now, quotas: quotas)
        else { return [] }
        let beginning = Principals.willWrite(caller, at: now)
        let lock = ConversationCounters.lock(conversation, owner: caller.id)
        let results = try await database.run(beginning + [lock] + append.statements)
        guard !results[beginning.count].isEmpty else {
            try Principals.requireActive(results)
            throw APIError(.notFound)
        }
        switch try append.outcome(results) {
        case .appended(_, let messages): return messages
        case .refused(let draft): throw try await MessageAppend.refusal(of: draft, in: database)
        case .overQuota: throw try await QuotaStanding.refusal(of: caller, quotas, in: database, at: now)
        }
    }

    /// One message. Throws `not_found`.
    func get(_ id: String, in conversation: String, for caller: Caller) async throws -> Message {
        let result = try await database.run(MessageStatements.get(conversation, caller.id, id))
        guard let row = result.first else { throw APIError(.notFound) }
        return try Message(row)
    }

    /// A page of messages that are not deleted; `order` is the page's and its cursors'. Throws `not_found`.
    ///
    /// The page's own statement asks who owns the conversation, so rows are proof enough of the right to see them.
    /// Only an empty page leaves the question whether there is such a conversation.
    func list(
        _ conversation: String,
        for caller: Caller,
        page: PageRequest,
        order: MessageOrder
    ) async throws -> Page<Message> {
        let read = Self.read(conversation, caller, page, order)
        guard page.wantsCount else {
            let result = try await database.run(read)
            if result.isEmpty, try await database.run(ConversationStatements.isVisible(conversation, caller.id)).isEmpty
            {
                throw APIError(.notFound)
            }
            return Page(fetched: try result.rows.map { try Message($0) }, request: page, cursor: \.cursor)
        }
        let results = try await database.run([ConversationStatements.isVisible(conversation, caller.id), read])
        guard let visible = results[0].first else { throw APIError(.notFound) }
        var answer = Page(fetched: try results[1].rows.map { try Message($0) }, request: page, cursor: \.cursor)
        answer.total = try visible.integer("message_count")
        return answer
    }

    /// The statement that fetches a page, in the direction of the request.
    static func read(
        _ conversation: String,
        _ caller: Caller,
        _ page: PageRequest,
        _ order: MessageOrder
    ) -> BoundStatement {
        if (order == .asc) == (page.direction == .forward) {
            return MessageStatements.later(conversation, caller.id, page.cursor?.position ?? 0, page.fetchCount)
        }
        return MessageStatements.earlier(conversation, caller.id, page.cursor?.position ?? .max, page.fetchCount)
    }
}

/// Oldest first, or newest first.
enum MessageOrder: String, Sendable, CaseIterable {
    case asc, desc
}
