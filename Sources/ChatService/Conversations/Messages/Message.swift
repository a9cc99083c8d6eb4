import ServiceKit
import Storage

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

/// One row of `messages`. Most columns are only returned, so they stay as the database sent them.
struct Message: VersionedRow {
    /// `MessageStatements.columns`.
    let row: Row
    let id: String
    private let conversationID: String
    let sequence: Int64
    let version: Int64
    private(set) var siblings: MessageSiblings?

    init(_ row: Row, in conversation: String, withSiblings: Bool = false) throws(StorageError) {
        self.row = row
        conversationID = conversation
        id = try row.text("id")
        sequence = try row.integer("seq")
        version = try row.integer("version")
        siblings = withSiblings ? try MessageSiblings(row) : nil
    }

    /// `nil` for a row without its content (see MessagePages.swift).
    init?(ofPage row: Row, in conversation: String, withSiblings: Bool) throws(StorageError) {
        guard try row.withOptionalText("parts", { $0 != nil }) else { return nil }
        try self.init(row, in: conversation, withSiblings: withSiblings)
    }

    init(_ draft: MessageDraft, conversation: String, author: Caller, inserted: Row, at now: Instant)
        throws(StorageError)
    {
        let row = Row([
            "id": draft.id, "seq": try inserted.integer("seq"), "parent_id": try inserted.optionalText("parent_id"),
            "author_id": draft.author(author), "role": draft.role.rawValue, "type": draft.type.rawValue,
            "status": draft.status.rawValue, "model": draft.model, "tokens_in": draft.tokensIn,
            "tokens_out": draft.tokensOut, "tokens_total": draft.tokensTotal, "created_at": now, "updated_at": now,
            "edited_at": SQLValue.null, "version": 1, "metadata": draft.metadata, "content_text": draft.contentText,
            "parts": draft.parts,
        ])
        try self.init(row, in: conversation)
    }

    /// Whether it shows its siblings, which change without it.
    var showsSiblings: Bool { siblings != nil }

    /// With the leaves below its siblings.
    func with(leaves: [String: BranchLeaf]) -> Message {
        var message = self
        message.siblings?.leaves = leaves
        return message
    }

    var role: MessageRole? {
        get throws(StorageError) { MessageRole(rawValue: try row.text("role")) }
    }

    /// JSON, byte for byte.
    var metadata: String {
        get throws(StorageError) { try row.text("metadata") }
    }

    /// For the conversation's pages.
    var cursor: Cursor { Cursor(position: sequence, id: "") }

    /// For a branch's pages, which walk from message to message.
    var branchCursor: Cursor { Cursor(position: sequence, id: id) }

    func writeMembers(to writer: inout JSONWriter) throws(StorageError) {
        try writer.text("id", of: row)
        writer.field("conversation_id", conversationID)
        try writer.integer("seq", of: row)
        try writer.optionalText("parent_id", of: row)
        try writer.optionalText("author_id", of: row)
        try writer.text("role", of: row)
        try writer.text("type", of: row)
        try writer.text("status", of: row)
        try writer.optionalText("model", of: row)
        try writer.optionalInteger("tokens_in", of: row)
        try writer.optionalInteger("tokens_out", of: row)
        try writer.optionalInteger("tokens_total", of: row)
        try writer.instant("created_at", of: row)
        try writer.instant("updated_at", of: row)
        try writer.optionalInstant("edited_at", of: row)
        try writer.integer("version", of: row)
        try writer.json("metadata", of: row)
        try writer.optionalText("content", column: "content_text", of: row)
        try writer.json("parts", of: row)
        if let siblings { writer.object("siblings") { siblings.writeMembers(to: &$0) } }
    }
}
