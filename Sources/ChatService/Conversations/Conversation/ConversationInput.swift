// Fields of a conversation in requests. Sizes are in bytes.
import ServiceKit
import Storage

enum ConversationLimits {
    static let title = 1024
    static let slug = 200
    static let reason = 1024
    /// `settings` and `metadata`, each.
    static let json = 16 * 1024
    static let messages = 100
    static let tags = 32
    /// A part of a URL, slashes allowed: frontends store their own paths here.
    static func isSlug(_ text: RequestText) -> Bool {
        !text.isEmpty
            && text.unicodeScalars.allSatisfy {
                !$0.properties.isWhitespace && $0.value > 0x20 && $0.value != 0x7F
            }
    }

    /// Bytes of one message's `parts`. A request carries less (`BodyLimits.messages`); an import brings in the rest.
    static let parts = 8 * 1024 * 1024

    /// Bytes of `parts` in one page of messages, except for a single first message. Their texts are at most as much
    /// again.
    static let page: Int64 = 8 * 1024 * 1024
}

struct ConversationDraft: Sendable {
    let id: String?
    let title: RequestText?
    let model: RequestText?
    let slug: RequestText?
    let visibility: Visibility
    let settings: String
    let metadata: String
    let messages: [MessageDraft]

    /// A given title is the user's; otherwise the first user message provides it.
    var titleAndSource: (title: RequestText?, source: String?) {
        if let title { return (title, "user") }
        let automatic = MessageAppend.automaticTitle(messages)
        return (automatic, automatic == nil ? nil : "auto")
    }

    init(_ source: JSONBody, identify: () -> String) throws(APIError) {
        var body = source
        id = body.rowID("id")
        title = body.filled("title", max: ConversationLimits.title).value
        model = body.filled("model", max: BodyLimits.model).value
        slug = body.slug("slug").value
        visibility = body.choice("visibility", of: Visibility.self) ?? .private
        settings = body.rawObject("settings", max: ConversationLimits.json) ?? "{}"
        metadata = body.rawObject("metadata", max: ConversationLimits.json) ?? "{}"
        let elements = body.array("messages", count: 0...ConversationLimits.messages) ?? []
        messages = MessageDraft.all(elements, in: &body, identify: identify)
        try body.finish()
    }
}

/// `PATCH /v1/conversations/{id}`: every member is optional, `null` clears.
struct ConversationPatch: Sendable {
    let title: Patch<RequestText>
    let model: Patch<RequestText>
    let slug: Patch<RequestText>
    let visibility: Visibility?
    let archived: Bool?
    let archiveReason: Patch<RequestText>
    let pinned: Bool?
    /// The end of the shown branch, a message of this conversation.
    var headMessage: String?
    /// The shown branch goes on from `headMessage` to the newest leaf below it.
    let descends: Bool
    /// Replaces the whole object.
    let settings: String?
    /// Members to set, or to remove where `null`.
    let metadata: [JSONElement.Member]?

    var isEmpty: Bool {
        !title.isPresent && !model.isPresent && !slug.isPresent && visibility == nil && archived == nil
            && !archiveReason.isPresent && pinned == nil && headMessage == nil && settings == nil && metadata == nil
    }

    init(_ source: JSONBody) throws(APIError) {
        var body = source
        title = body.filled("title", max: ConversationLimits.title)
        model = body.filled("model", max: BodyLimits.model)
        slug = body.slug("slug")
        visibility = body.choice("visibility", of: Visibility.self)
        archived = body.boolean("archived")
        archiveReason = body.patchText("archive_reason", max: ConversationLimits.reason)
        pinned = body.boolean("pinned")
        headMessage = body.rowID("head_message_id")
        if let head = body.element("head_message_id"), head.isNull {
            body.addError("head_message_id", "invalid", "must be a message of this conversation")
        }
        descends = body.boolean("descend") ?? false
        if descends, headMessage == nil { body.addError("descend", "invalid", "needs head_message_id") }
        settings = body.rawObject("settings", max: ConversationLimits.json)
        metadata = body.rawObject("metadata", max: ConversationLimits.json).flatMap { _ in
            body.element("metadata")?.object
        }
        body.refuseNull("visibility", "archived", "pinned", "settings", "metadata")
        try body.finish()
    }
}

extension JSONBody {
    /// The caller's id, or `nil` for one of ours.
    mutating func rowID(_ name: String) -> String? {
        guard let id = text(name) else { return nil }
        if RowID.isValid(id) { return id.verbatim }
        addError(name, "invalid", "must match ^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")
        return nil
    }

    /// A text that says something.
    mutating func filled(_ name: String, max: Int) -> Patch<RequestText> {
        let patch = patchText(name, max: max)
        if case .value(let text) = patch, text.isBlank {
            addError(name, "too_short", "must not be blank", .atLeast(1))
        }
        return patch
    }

    fileprivate mutating func slug(_ name: String) -> Patch<RequestText> {
        let patch = patchText(name, max: ConversationLimits.slug)
        if case .value(let text) = patch, !ConversationLimits.isSlug(text) {
            addError(
                name,
                "invalid",
                "must have from 1 to \(ConversationLimits.slug) characters and no white space",
                .range(1...ConversationLimits.slug)
            )
        }
        return patch
    }
}
