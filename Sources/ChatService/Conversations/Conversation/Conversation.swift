import ServiceKit
// A conversation as it is read and as it is told.
import Storage

/// Who may see a conversation besides its owner. Shares decide how; see their own feature.
enum Visibility: String, Sendable, CaseIterable {
    case `private`, unlisted, `public`
}

/// One row of `conversations`. Most of it is only ever told, so it stays as the database returned it.
struct Conversation: Sendable {
    /// `ConversationStatements.summaryColumns`, or `columns`.
    private let row: Row
    let id: String
    let version: Int64
    private let updatedAt: Instant
    /// Names, in the order of the alphabet.
    let tags: [String]
    /// When it went to the trash; read with the trash alone.
    var deletedAt: Instant?
    /// Whether the row has the documents; rows of a list do not, which never reads them.
    private let isWhole: Bool

    /// Reads a row of `ConversationStatements.summaryColumns`, or of `columns` when `whole`.
    init(_ row: Row, whole: Bool) throws(StorageError) {
        self.row = row
        id = try row.text("id")
        updatedAt = try row.instant("updated_at")
        version = try row.integer("version")
        let names = try row.optionalText("tags")?.split(separator: TagStatements.separator).map(String.init) ?? []
        tags = names.count < 2 ? names : names.sorted { ($0.lowercased(), $0) < ($1.lowercased(), $1) }
        isWhole = whole
    }

    /// A conversation as it is right after it was made from a request, with its messages.
    init(_ draft: ConversationDraft, id: String, owner: String, at now: Instant) {
        let (title, source) = draft.titleAndSource
        let count = draft.messages.count
        row = Row([
            "id": id, "owner_id": owner, "title": title, "title_source": source, "model": draft.model,
            "slug": draft.slug, "visibility": draft.visibility.rawValue, "pinned_at": SQLValue.null,
            "archived_at": SQLValue.null, "archive_reason": SQLValue.null,
            "forked_from_conversation_id": SQLValue.null, "forked_from_message_id": SQLValue.null,
            "head_message_id": draft.messages.last?.id, "last_seq": count, "message_count": count,
            "tokens_in": draft.messages.reduce(0) { $0 + ($1.tokensIn ?? 0) },
            "tokens_out": draft.messages.reduce(0) { $0 + ($1.tokensOut ?? 0) },
            "last_message_at": count == 0 ? nil : now, "created_at": now, "updated_at": now, "version": 1,
            "settings": draft.settings, "metadata": draft.metadata,
        ])
        self.id = id
        version = 1
        updatedAt = now
        tags = []
        isWhole = true
    }

    /// JSON, byte for byte; of a whole row alone.
    var metadata: String {
        get throws(StorageError) { try row.text("metadata") }
    }

    /// Its place in the list, which is ordered by `updated_at`, newest first.
    var cursor: Cursor { Cursor(updatedAt, id) }

    /// Its place in the trash, which is ordered by `deleted_at`, newest first.
    var trashCursor: Cursor { Cursor(deletedAt ?? updatedAt, id) }

    /// Writes the members, without the braces around them.
    func writeMembers(to writer: inout JSONWriter) throws(StorageError) {
        try writer.text("id", of: row)
        try writer.text("owner_id", of: row)
        try writer.optionalText("title", of: row)
        try writer.optionalText("title_source", of: row)
        try writer.optionalText("model", of: row)
        try writer.optionalText("slug", of: row)
        try writer.text("visibility", of: row)
        writer.field("pinned", try row.optionalInstant("pinned_at") != nil)
        try writer.optionalInstant("pinned_at", of: row)
        writer.field("archived", try row.optionalInstant("archived_at") != nil)
        try writer.optionalInstant("archived_at", of: row)
        try writer.optionalText("archive_reason", of: row)
        try writer.optionalText("forked_from_conversation_id", of: row)
        try writer.optionalText("forked_from_message_id", of: row)
        try writer.optionalText("head_message_id", of: row)
        try writer.integer("last_seq", of: row)
        try writer.integer("message_count", of: row)
        try writer.integer("tokens_in", of: row)
        try writer.integer("tokens_out", of: row)
        try writer.optionalInstant("last_message_at", of: row)
        try writer.instant("created_at", of: row)
        try writer.instant("updated_at", of: row)
        try writer.integer("version", of: row)
        writer.field("tags", tags)
        if let deletedAt { writer.field("deleted_at", deletedAt) }
        if isWhole {
            try writer.json("settings", of: row)
            try writer.json("metadata", of: row)
        }
    }
}
