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
        documents = whole ? (try row.text("settings"), try row.text("metadata")) : nil
    }

    /// Its place in the list, which is ordered by `updated_at`, newest first.
    var cursor: Cursor { Cursor(updatedAt, id) }

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
        if let documents {
            writer.field("settings", raw: documents.settings)
            writer.field("metadata", raw: documents.metadata)
        }
    }
}
