import ServiceKit
import Storage

enum Visibility: String, Sendable, CaseIterable {
    case `private`, unlisted, `public`
}

/// One row of `conversations`. Most columns are only returned, so they stay as the database sent them.
struct Conversation: VersionedRow {
    /// `ConversationStatements.summaryColumns`, or `columns`.
    private let row: Row
    let id: String
    let version: Int64
    private let updatedAt: Instant
    /// In alphabetical order.
    let tags: [String]
    /// Only read for the trash.
    var deletedAt: Instant?
    /// Only read for a sidebar.
    var lastMessage: LastMessage?
    /// What `unread_count` counts up to.
    static let maxUnread: Int64 = 1000
    /// Whether the row has the JSON documents, which lists omit.
    private let isWhole: Bool

    /// Reads a row of `ConversationStatements.summaryColumns`, or of `columns` if `whole`.
    init(_ row: Row, whole: Bool) throws(StorageError) {
        self.row = row
        id = try row.text("id")
        updatedAt = try row.instant("updated_at")
        version = try row.integer("version")
        let names = try row.optionalText("tags")?.split(separator: TagStatements.separator).map(String.init) ?? []
        tags = names.count < 2 ? names : names.sorted { ($0.lowercased(), $0) < ($1.lowercased(), $1) }
        isWhole = whole
    }

    /// A new conversation with its messages, as the request made it.
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
            "read_seq": 0, "unread_count": count, "settings": draft.settings, "metadata": draft.metadata,
        ])
        self.id = id
        version = 1
        updatedAt = now
        tags = []
        isWhole = true
    }

    /// JSON, byte for byte; of a whole row only.
    var metadata: String {
        get throws(StorageError) { try row.text("metadata") }
    }

    /// Whether it shows more than its own fields: numbers of messages, names of tags. They change while the version
    /// stays.
    var showsMore: Bool {
        get throws(StorageError) { try row.integer("last_seq") > 0 || !tags.isEmpty }
    }

    /// The list is ordered by `updated_at`, newest first.
    var cursor: Cursor { Cursor(updatedAt, id) }

    /// The trash is ordered by `deleted_at`, newest first.
    var trashCursor: Cursor { Cursor(deletedAt ?? updatedAt, id) }

    func writeMarker(to writer: inout JSONWriter) throws(StorageError) {
        writer.field("conversation_id", id)
        try writer.optionalInteger("read_seq", of: row)
        writer.field("unread_count", try min(row.integer("unread_count"), Self.maxUnread))
    }

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
        try writer.optionalInteger("read_seq", of: row)
        writer.field("unread_count", try min(row.integer("unread_count"), Self.maxUnread))
        writer.field("tags", tags)
        if let lastMessage { writer.object("last_message") { lastMessage.writeMembers(to: &$0) } }
        if let deletedAt { writer.field("deleted_at", deletedAt) }
        if isWhole {
            try writer.json("settings", of: row)
            try writer.json("metadata", of: row)
        }
    }
}
