// A conversation as it is read and as it is told.
import Storage
import WebSupport

/// Who may see a conversation besides its owner. Shares decide how; see their own feature.
enum Visibility: String, Sendable, CaseIterable {
    case `private`, unlisted, `public`
}

/// One row of `conversations`.
struct Conversation: Sendable {
    let id: String
    let ownerID: String
    let title: String?
    let titleSource: String?
    let model: String?
    let slug: String?
    let visibility: String
    let pinnedAt: Instant?
    let archivedAt: Instant?
    let archiveReason: String?
    let forkedFromConversationID: String?
    let forkedFromMessageID: String?
    let headMessageID: String?
    let lastSequence: Int64
    let messageCount: Int64
    let tokensIn: Int64
    let tokensOut: Int64
    let lastMessageAt: Instant?
    let createdAt: Instant
    let updatedAt: Instant
    let version: Int64
    /// Names, in the order of the alphabet.
    let tags: [String]
    /// When it went to the trash; read with the trash alone.
    var deletedAt: Instant?
    /// JSON objects, byte for byte; `nil` in rows of a list, which never reads them.
    let documents: (settings: String, metadata: String)?

    /// Reads a row of `ConversationStatements.summaryColumns`, or of `columns` when `whole`.
    init(_ row: Row, whole: Bool) throws(StorageError) {
        id = try row.text("id")
        ownerID = try row.text("owner_id")
        title = try row.optionalText("title")
        titleSource = try row.optionalText("title_source")
        model = try row.optionalText("model")
        slug = try row.optionalText("slug")
        visibility = try row.text("visibility")
        pinnedAt = try row.optionalInstant("pinned_at")
        archivedAt = try row.optionalInstant("archived_at")
        archiveReason = try row.optionalText("archive_reason")
        forkedFromConversationID = try row.optionalText("forked_from_conversation_id")
        forkedFromMessageID = try row.optionalText("forked_from_message_id")
        headMessageID = try row.optionalText("head_message_id")
        lastSequence = try row.integer("last_seq")
        messageCount = try row.integer("message_count")
        tokensIn = try row.integer("tokens_in")
        tokensOut = try row.integer("tokens_out")
        lastMessageAt = try row.optionalInstant("last_message_at")
        createdAt = try row.instant("created_at")
        updatedAt = try row.instant("updated_at")
        version = try row.integer("version")
        let names = try row.optionalText("tags")?.split(separator: TagStatements.separator).map(String.init) ?? []
        tags = names.count < 2 ? names : names.sorted { ($0.lowercased(), $0) < ($1.lowercased(), $1) }
        documents = whole ? (try row.text("settings"), try row.text("metadata")) : nil
    }

    /// A conversation as it is right after it was made from a request, with its messages.
    init(_ draft: ConversationDraft, id: String, owner: String, at now: Instant) {
        self.id = id
        ownerID = owner
        (title, titleSource) = draft.titleAndSource
        model = draft.model
        slug = draft.slug
        visibility = draft.visibility.rawValue
        pinnedAt = nil
        archivedAt = nil
        archiveReason = nil
        forkedFromConversationID = nil
        forkedFromMessageID = nil
        headMessageID = draft.messages.last?.id
        lastSequence = Int64(draft.messages.count)
        messageCount = lastSequence
        tokensIn = draft.messages.reduce(0) { $0 + ($1.tokensIn ?? 0) }
        tokensOut = draft.messages.reduce(0) { $0 + ($1.tokensOut ?? 0) }
        lastMessageAt = draft.messages.isEmpty ? nil : now
        createdAt = now
        updatedAt = now
        version = 1
        tags = []
        documents = (draft.settings, draft.metadata)
    }

    /// Its place in the list, which is ordered by `updated_at`, newest first.
    var cursor: Cursor { Cursor(updatedAt, id) }

    /// Its place in the trash, which is ordered by `deleted_at`, newest first.
    var trashCursor: Cursor { Cursor(deletedAt ?? updatedAt, id) }

    /// Writes the members, without the braces around them.
    func write(to writer: inout JSONWriter) {
        writer.field("id", id)
        writer.field("owner_id", ownerID)
        writer.field("title", title)
        writer.field("title_source", titleSource)
        writer.field("model", model)
        writer.field("slug", slug)
        writer.field("visibility", visibility)
        writer.field("pinned", pinnedAt != nil)
        writer.field("pinned_at", pinnedAt)
        writer.field("archived", archivedAt != nil)
        writer.field("archived_at", archivedAt)
        writer.field("archive_reason", archiveReason)
        writer.field("forked_from_conversation_id", forkedFromConversationID)
        writer.field("forked_from_message_id", forkedFromMessageID)
        writer.field("head_message_id", headMessageID)
        writer.field("last_seq", lastSequence)
        writer.field("message_count", messageCount)
        writer.field("tokens_in", tokensIn)
        writer.field("tokens_out", tokensOut)
        writer.field("last_message_at", lastMessageAt)
        writer.field("created_at", createdAt)
        writer.field("updated_at", updatedAt)
        writer.field("version", version)
        writer.field("tags", tags)
        if let deletedAt { writer.field("deleted_at", deletedAt) }
        if let documents {
            writer.field("settings", raw: documents.settings)
            writer.field("metadata", raw: documents.metadata)
        }
    }
}
