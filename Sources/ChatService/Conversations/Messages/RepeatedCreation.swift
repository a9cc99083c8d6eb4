// A creation with ids of the client's own that is sent again, without an `Idempotency-Key`: after a lost answer, the
// rows are there. If they still say what the request says, they are the answer, with 200. Anything else is
// `id_taken`, as for an id of another person.
//
// The rows are compared, not the requests, so a message that was changed since is a conflict. What a request leaves
// open may be anything: the parent of a message, which was the head then, and ids that were made for it.
import ServiceKit
import Storage

extension MessageAppend {
    /// The rows of these messages, if an earlier request like this one has made them all. `draft`: the one whose id
    /// exists.
    func stored(instead draft: MessageDraft, in database: any SQLDatabase) async throws -> [Message]? {
        guard draft.hasOwnID, let index = drafts.firstIndex(where: { $0.id == draft.id }) else { return nil }
        let read = MessageStatements.get(message: draft.id, in: conversation, owner: caller.id, siblings: false)
        guard let row = try await database.run(read).first else { return nil }
        let sequence = try row.integer("seq")
        return try await Self.stored(
            drafts,
            from: sequence - Int64(index),
            in: conversation,
            of: caller.id,
            database
        )
    }

    /// The rows of messages that are numbered from `first`.
    static func stored(
        _ drafts: [MessageDraft],
        from first: Int64,
        in conversation: String,
        of owner: String,
        _ database: any SQLDatabase
    ) async throws -> [Message]? {
        guard !drafts.isEmpty else { return [] }
        // Measured: a request is smaller than a page, so messages beyond it are others.
        let read = MessagePages.ofConversation(
            id: conversation,
            owner: owner,
            isLater: true,
            edge: first - 1,
            limit: Int64(drafts.count),
            pass: .measured,
            siblings: false
        )
        let rows = try await database.run(read).rows
        guard rows.count == drafts.count else { return nil }
        var messages: [Message] = []
        for (index, (draft, row)) in zip(drafts, rows).enumerated() {
            guard let message = try Message(ofPage: row, in: conversation, withSiblings: false),
                message.sequence == first + Int64(index), try draft.isStored(as: row)
            else { return nil }
            messages.append(message)
        }
        return messages
    }
}

extension MessageDraft {
    /// Whether a row says what this draft says.
    fileprivate func isStored(as row: Row) throws -> Bool {
        if hasOwnID, try row.text("id") != id { return false }
        if case .message(let parent) = parent, try row.optionalText("parent_id") != parent { return false }
        guard try row.text("role") == role.rawValue, try row.text("type") == type.rawValue,
            try row.text("status") == status.rawValue, try row.optionalRequestText("model") == model,
            try row.optionalInteger("tokens_in") == tokensIn, try row.optionalInteger("tokens_out") == tokensOut,
            try row.optionalInteger("tokens_total") == tokensTotal
        else { return false }
        return try isSameJSON(row.text("metadata"), metadata) && isSameJSON(row.text("parts"), parts)
    }
}

extension Conversations {
    /// The conversation of an earlier request like this one.
    func stored(_ draft: ConversationDraft, id: String, by caller: Caller) async throws -> Made? {
        let result = try await database.run(ConversationStatements.get(id: id, owner: caller.id))
        guard let row = result.first, try draft.isStored(as: row) else { return nil }
        let messages = try await MessageAppend.stored(draft.messages, from: 1, in: id, of: caller.id, database)
        guard let messages else { return nil }
        return (try Conversation(row, whole: true), messages)
    }
}

extension ConversationDraft {
    fileprivate func isStored(as row: Row) throws -> Bool {
        // Without a title, it may have become an automatic one since.
        let (title, source) = titleAndSource
        if source == "user" {
            guard try row.optionalRequestText("title") == title else { return false }
        } else if try row.optionalText("title_source") == "user" {
            return false
        }
        guard try row.optionalRequestText("model") == model, try row.optionalRequestText("slug") == slug,
            try row.text("visibility") == visibility.rawValue, try row.optionalText("forked_from_message_id") == nil
        else { return false }
        return try isSameJSON(row.text("settings"), settings) && isSameJSON(row.text("metadata"), metadata)
    }
}

extension Row {
    fileprivate func optionalRequestText(_ column: String) throws(StorageError) -> RequestText? {
        try optionalText(column).map { RequestText($0) }
    }
}

private func isSameJSON(_ one: String, _ other: String) throws -> Bool {
    try one.utf8.elementsEqual(other.utf8)
        || JSONElement.parse(one).canonicalBytes == JSONElement.parse(other).canonicalBytes
}
