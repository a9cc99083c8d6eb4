// A message as it is read and as it is told.
import Storage
import WebSupport

enum MessageRole: String, Sendable, CaseIterable {
    case user, assistant, system, tool, developer
}

enum MessageType: String, Sendable, CaseIterable {
    case normal, error
    case toolCall = "tool_call"
}

enum MessageStatus: String, Sendable, CaseIterable {
    case inProgress = "in_progress"
    case completed, incomplete, error, cancelled
}

/// One row of `messages`.
struct Message: Sendable {
    let id: String
    let conversationID: String
    let sequence: Int64
    let parentID: String?
    let authorID: String?
    let role: String
    let type: String
    let status: String
    let model: String?
    let tokensIn: Int64?
    let tokensOut: Int64?
    let tokensTotal: Int64?
    let createdAt: Instant
    let updatedAt: Instant
    let editedAt: Instant?
    let version: Int64
    /// JSON, byte for byte.
    let metadata: String
    /// The text of the parts, for people and for search.
    let contentText: String?
    /// A JSON array, byte for byte.
    let parts: String
    /// Told only when asked for.
    var siblings: MessageSiblings?

    /// Reads a row of `MessageStatements.columns`, or of `MessageSiblings.columns`.
    init(_ row: Row, withSiblings: Bool = false) throws(StorageError) {
        try self.init(row, parts: try row.text("parts"), withSiblings: withSiblings)
    }

    /// Reads a row of a page; `nil` for one whose content stayed behind (see MessagePages.swift).
    init?(ofPage row: Row, withSiblings: Bool) throws(StorageError) {
        guard let parts = try row.optionalText("parts") else { return nil }
        try self.init(row, parts: parts, withSiblings: withSiblings)
    }

    private init(_ row: Row, parts: String, withSiblings: Bool) throws(StorageError) {
        id = try row.text("id")
        conversationID = try row.text("conversation_id")
        sequence = try row.integer("seq")
        parentID = try row.optionalText("parent_id")
        authorID = try row.optionalText("author_id")
        role = try row.text("role")
        type = try row.text("type")
        status = try row.text("status")
        model = try row.optionalText("model")
        tokensIn = try row.optionalInteger("tokens_in")
        tokensOut = try row.optionalInteger("tokens_out")
        tokensTotal = try row.optionalInteger("tokens_total")
        createdAt = try row.instant("created_at")
        updatedAt = try row.instant("updated_at")
        editedAt = try row.optionalInstant("edited_at")
        version = try row.integer("version")
        metadata = try row.text("metadata")
        contentText = try row.optionalText("content_text")
        self.parts = parts
        siblings = withSiblings ? try MessageSiblings(row) : nil
    }

    /// A message just inserted: what the caller sent and what the database decided.
    init(_ draft: MessageDraft, conversation: String, author: Caller, inserted: Row, at now: Instant)
        throws(StorageError)
    {
        id = draft.id
        conversationID = conversation
        sequence = try inserted.integer("seq")
        parentID = try inserted.optionalText("parent_id")
        authorID = draft.author(author)
        role = draft.role.rawValue
        type = draft.type.rawValue
        status = draft.status.rawValue
        model = draft.model
        tokensIn = draft.tokensIn
        tokensOut = draft.tokensOut
        tokensTotal = draft.tokensTotal
        createdAt = now
        updatedAt = now
        editedAt = nil
        version = 1
        metadata = draft.metadata
        contentText = draft.contentText
        parts = draft.parts
    }

    /// Its place among the conversation's messages.
    var cursor: Cursor { Cursor(position: sequence, id: "") }

    /// Its place on a branch, which is walked from message to message.
    var branchCursor: Cursor { Cursor(position: sequence, id: id) }

    /// Writes the members, without the braces around them.
    func write(to writer: inout JSONWriter) {
        writer.field("id", id)
        writer.field("conversation_id", conversationID)
        writer.field("seq", sequence)
        writer.field("parent_id", parentID)
        writer.field("author_id", authorID)
        writer.field("role", role)
        writer.field("type", type)
        writer.field("status", status)
        writer.field("model", model)
        writer.field("tokens_in", tokensIn)
        writer.field("tokens_out", tokensOut)
        writer.field("tokens_total", tokensTotal)
        writer.field("created_at", createdAt)
        writer.field("updated_at", updatedAt)
        writer.field("edited_at", editedAt)
        writer.field("version", version)
        writer.field("metadata", raw: metadata)
        writer.field("content", contentText)
        writer.field("parts", raw: parts)
        if let siblings { writer.object("siblings") { siblings.write(to: &$0) } }
    }
}
