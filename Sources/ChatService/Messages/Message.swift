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

/// One row of `messages`. Most of it is only ever told, so it stays as the database returned it.
struct Message: Sendable {
    /// `MessageStatements.columns`.
    let row: Row
    let id: String
    let sequence: Int64
    let version: Int64
    /// Told only when asked for.
    private let siblings: MessageSiblings?

    /// Reads a row of `MessageStatements.columns`, or of `MessageSiblings.columns`.
    init(_ row: Row, withSiblings: Bool = false) throws(StorageError) {
        self.row = row
        id = try row.text("id")
        sequence = try row.integer("seq")
        version = try row.integer("version")
        siblings = withSiblings ? try MessageSiblings(row) : nil
    }

    /// Reads a row of a page; `nil` for one whose content stayed behind (see MessagePages.swift).
    init?(ofPage row: Row, withSiblings: Bool) throws(StorageError) {
        guard try row.withOptionalText("parts", { $0 != nil }) else { return nil }
        try self.init(row, withSiblings: withSiblings)
    }

    /// A message just inserted: what the caller sent and what the database decided.
    init(_ draft: MessageDraft, conversation: String, author: Caller, inserted: Row, at now: Instant)
        throws(StorageError)
    {
        let values: [any SQLBindable] = [
            draft.id, conversation, try inserted.integer("seq"), try inserted.optionalText("parent_id"),
            draft.author(author), draft.role.rawValue, draft.type.rawValue, draft.status.rawValue, draft.model,
            draft.tokensIn, draft.tokensOut, draft.tokensTotal, now, now, SQLValue.null, 1, draft.metadata,
            draft.contentText, draft.parts,
        ]
        try self.init(Row(columns: Self.columns, values: values.map(\.sqlValue)))
    }

    private static let columns = Columns(MessageStatements.columns.split(separator: ", ").map(String.init))

    /// JSON, byte for byte.
    var metadata: String {
        get throws(StorageError) { try row.text("metadata") }
    }

    /// Its place among the conversation's messages.
    var cursor: Cursor { Cursor(position: sequence, id: "") }

    /// Its place on a branch, which is walked from message to message.
    var branchCursor: Cursor { Cursor(position: sequence, id: id) }

    /// Writes the members, without the braces around them.
    func write(to writer: inout JSONWriter) throws(StorageError) {
        try writer.text("id", of: row)
        try writer.text("conversation_id", of: row)
        try writer.integer("seq", of: row)
        try writer.text("parent_id", of: row)
        try writer.text("author_id", of: row)
        try writer.text("role", of: row)
        try writer.text("type", of: row)
        try writer.text("status", of: row)
        try writer.text("model", of: row)
        try writer.integer("tokens_in", of: row)
        try writer.integer("tokens_out", of: row)
        try writer.integer("tokens_total", of: row)
        try writer.instant("created_at", of: row)
        try writer.instant("updated_at", of: row)
        try writer.instant("edited_at", of: row)
        try writer.integer("version", of: row)
        try writer.json("metadata", of: row)
        try writer.text("content", column: "content_text", of: row)
        try writer.json("parts", of: row)
        if let siblings { writer.object("siblings") { siblings.write(to: &$0) } }
    }
}
