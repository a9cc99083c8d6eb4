// What lines of an export say is held to the rules of the API before anything is written: whose they are, how long
// their texts are, which words a column has, and that a conversation is whole.
import ServiceKit
import Storage

struct ImportRules: Sendable {
    private let user: String
    private let exportedAt: Instant?
    private var tree: ImportedTree?
    private var conversations: Set<String> = []
    /// How many tags conversations have.
    private var tags: [String: Int] = [:]
    /// The heads of conversations whose head was deleted while the export was read.
    private(set) var heads: [String: String?] = [:]

    init(user: String, exportedAt: Instant?) {
        self.user = user
        self.exportedAt = exportedAt
    }

    mutating func take(_ row: ImportedRow) throws(ImportRefusal) {
        try row.limitInstants()
        if row.entity != "message" { try finishConversation() }
        switch row.entity {
        case "principal": try checkPrincipal(row)
        case "conversation":
            try checkConversation(row)
            tree = try ImportedTree(row)
        case "message":
            try checkMessage(row)
            guard tree != nil else { throw ImportRefusal("a message does not follow its conversation") }
            try tree?.take(row)
        case "tag": try checkTag(row)
        case "conversation_tag": try checkConversationTag(row)
        case "vote": try checkVote(row)
        case "usage_total": try checkUsage(row)
        default: break
        }
    }

    /// Ends the conversation whose messages came last.
    mutating func finishConversation() throws(ImportRefusal) {
        guard let whole = tree else { return }
        tree = nil
        let head = try whole.finish(exportedAt: exportedAt)
        if head != whole.head { heads[whole.conversation] = head }
    }

    // MARK: Rows

    private func checkPrincipal(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require("id", is: user)
        try row.require("kind", "tokens_total", "first_seen_at", "last_seen_at")
        try row.limit("kind", to: 64)
        // A name and a picture are auth's, whose limits these are.
        try row.limit("display_name", to: 200)
        try row.limit("avatar_url", to: 2048)
    }

    private mutating func checkConversation(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require("owner_id", is: user)
        try row.require(
            "id",
            "visibility",
            "last_seq",
            "message_count",
            "tokens_in",
            "tokens_out",
            "created_at",
            "updated_at",
            "version",
            "has_tags",
            "settings",
            "metadata"
        )
        try row.limit("version", to: 1...ExportedColumn.Bounds.versions.upperBound)
        try row.limit("title", to: ConversationLimits.title) { !$0.isBlank }
        try row.limit("title_source", to: TitleSource.self)
        try row.limit("model", to: BodyLimits.model) { !$0.isBlank }
        try row.limit("slug", to: ConversationLimits.slug, ConversationLimits.isSlug)
        try row.limit("visibility", to: Visibility.self)
        try row.limit("archive_reason", to: ConversationLimits.reason)
        for column in ["settings", "metadata"] { try row.limit(column, toBytes: ConversationLimits.json) }
        guard let id = row.text("id"), conversations.insert(id.verbatim).inserted else { throw row.refusal("id") }
    }

    private enum TitleSource: String, CaseIterable {
        case user, auto, `import`
    }

    private func checkMessage(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require(
            "id",
            "conversation_id",
            "seq",
            "role",
            "type",
            "status",
            "created_at",
            "updated_at",
            "version",
            "metadata",
            "parts"
        )
        try row.limit("version", to: 1...ExportedColumn.Bounds.versions.upperBound)
        try row.limit("role", to: MessageRole.self)
        try row.limit("type", to: MessageType.self)
        try row.limit("status", to: MessageStatus.self)
        try row.limit("model", to: BodyLimits.model)
        for column in ["tokens_in", "tokens_out"] { try row.limit(column, to: MessageDraft.tokenCounts) }
        try row.limit("metadata", toBytes: ConversationLimits.json)
        for column in ["parts", "content_text"] { try row.limit(column, toBytes: ConversationLimits.parts) }
        if row.text("author_id") != nil { try row.require("author_id", is: user) }
        guard let parts = row.text("parts"), let elements = try? JSONElement.parse(parts.verbatim).array else {
            throw row.refusal("parts")
        }
        guard MessageDraft.text(of: elements).wrong.isEmpty else { throw row.refusal("parts") }
        if row.instant("deleted_at") != nil {
            guard elements.isEmpty, row.text("metadata") == "{}", row.text("content_text") == nil else {
                throw row.refusal("deleted_at")
            }
        }
    }

    private func checkTag(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require("owner_id", is: user)
        try row.require("id", "name", "created_at", "updated_at")
        guard let text = row.text("name"), let name = TagName(text) else { throw row.refusal("name") }
        guard RequestText(name.key) == row.text("name_key") else { throw row.refusal("name_key") }
    }

    private mutating func checkConversationTag(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require("conversation_id", "tag_id")
        guard let id = row.text("conversation_id") else { return }
        tags[id.verbatim, default: 0] += 1
        guard tags[id.verbatim] ?? 0 <= ConversationLimits.tags else { throw row.refusal("conversation_id") }
    }

    private func checkVote(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require("user_id", is: user)
        try row.require("message_id", "conversation_id", "value", "created_at", "updated_at")
        guard row.integer("value") != 0 else { throw row.refusal("value") }
    }

    private func checkUsage(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require("user_id", is: user)
        try row.require("day", "model", "messages", "tokens_in", "tokens_out", "tokens_total")
        try row.limit("model", to: BodyLimits.model)
    }
}
