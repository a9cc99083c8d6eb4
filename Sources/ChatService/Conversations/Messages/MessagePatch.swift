// A patch of a message: content, status and cost. Role and parent stay: an edited question is a new message beside the
// old one.
import ServiceKit

/// `PATCH /v1/conversations/{id}/messages/{message_id}`: every member is optional, `null` clears.
struct MessagePatch: Sendable {
    let type: MessageType?
    let status: MessageStatus?
    let model: Patch<RequestText>
    let tokensIn: Patch<Int64>
    let tokensOut: Patch<Int64>
    let tokensTotal: Patch<Int64>
    /// Members to set, or to remove where `null`.
    let metadata: [JSONElement.Member]?
    /// Replaces the whole content.
    let content: (parts: String, text: RequestText?)?
    /// The field of a content that says nothing.
    let emptyContent: String?

    var changesTokens: Bool { tokensIn.isPresent || tokensOut.isPresent || tokensTotal.isPresent }

    var isEmpty: Bool {
        type == nil && status == nil && !model.isPresent && !changesTokens && metadata == nil && content == nil
    }

    init(_ source: JSONBody) throws(APIError) {
        var body = source
        type = body.choice("type", of: MessageType.self)
        status = body.choice("status", of: MessageStatus.self)
        model = body.patchText("model", max: BodyLimits.model)
        tokensIn = body.tokens("tokens_in")
        tokensOut = body.tokens("tokens_out")
        tokensTotal = body.tokens("tokens_total")
        metadata = body.rawObject("metadata", max: ConversationLimits.json).flatMap { _ in
            body.element("metadata")?.object
        }
        content = MessageDraft.optionalContent(&body)
        emptyContent = MessageDraft.emptyContent(&body)
        body.refuseNull("type", "status", "content", "parts", "metadata")
        try body.finish()
    }
}

extension JSONBody {
    /// A count of tokens, `null` for an unknown one.
    fileprivate mutating func tokens(_ name: String) -> Patch<Int64> {
        guard let element = element(name) else { return .absent }
        if element.isNull { return .null }
        return integer(name, in: MessageDraft.tokenCounts).map { .value($0) } ?? .absent
    }
}
