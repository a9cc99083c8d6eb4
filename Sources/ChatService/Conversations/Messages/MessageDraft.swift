// A message in an append request.
//
// It has plain `content`, or `parts`, an array of objects each with a `type`. Parts are stored byte for byte, also of
// unknown types: a frontend gets back what it stored.
import ServiceKit
import Storage

struct MessageDraft: Sendable {
    enum Parent: Sendable, Hashable {
        /// The conversation's newest message (nothing, in an empty one).
        case head
        /// A message of the same conversation, or `nil` for a new root.
        case message(String?)
    }

    let id: String
    let hasOwnID: Bool
    /// `nil` if not given.
    let parent: Parent?
    let role: MessageRole
    let type: MessageType
    let status: MessageStatus
    let model: RequestText?
    let tokensIn: Int64?
    let tokensOut: Int64?
    let tokensTotal: Int64?
    let metadata: String
    let contentText: RequestText?
    let parts: String
    let searchWords: IndexedWords?
    /// The member's path in the request, for later errors.
    let path: String

    static let tokenCounts: ClosedRange<Int64> = 0...1_000_000_000

    /// `author_id`: the writer, if that is a person.
    func author(_ caller: Caller) -> String? { role == .user ? caller.id : nil }

    /// Leaves errors in `body`; the draft is valid only if `body.finish()` passes.
    init(_ body: inout JSONBody, path: String, identify: () -> String) {
        let ownID = body.rowID("id")
        id = ownID ?? identify()
        hasOwnID = ownID != nil
        self.path = path
        parent = Self.parent(&body)
        if body.element("role").map(\.isNull) ?? true { body.addError("role", "required", "is required") }
        role = body.choice("role", of: MessageRole.self) ?? .user
        type = body.choice("type", of: MessageType.self) ?? .normal
        status = body.choice("status", of: MessageStatus.self) ?? .completed
        model = body.text("model", max: BodyLimits.model)
        let tokensIn = body.integer("tokens_in", in: Self.tokenCounts)
        let tokensOut = body.integer("tokens_out", in: Self.tokenCounts)
        let total = body.integer("tokens_total", in: Self.tokenCounts)
        self.tokensIn = tokensIn
        self.tokensOut = tokensOut
        tokensTotal = total ?? (tokensIn == nil && tokensOut == nil ? nil : (tokensIn ?? 0) + (tokensOut ?? 0))
        metadata = body.rawObject("metadata", max: ConversationLimits.json) ?? "{}"
        (parts, contentText) = Self.content(&body)
        if role == .user, let field = Self.emptyContent(&body) {
            body.addError(field, "too_short", Self.saysNothing, .atLeast(1))
        }
        searchWords = SearchText.words(of: contentText)
    }

    /// Each error has its own path.
    static func all(_ elements: [JSONElement], in body: inout JSONBody, identify: () -> String) -> [MessageDraft] {
        var drafts: [MessageDraft] = []
        var ids: Set<String> = []
        for (index, element) in elements.enumerated() {
            let path = "messages[\(index)]"
            do throws(APIError) {
                var item = try JSONBody(element, path: path)
                let draft = MessageDraft(&item, path: path, identify: identify)
                if !ids.insert(draft.id).inserted { item.addError("id", "invalid", "is used twice in this request") }
                try item.finish()
                drafts.append(draft)
            } catch {
                body.add(error.fields)
            }
        }
        return drafts
    }

    private static func parent(_ body: inout JSONBody) -> Parent? {
        guard let element = body.element("parent_id") else { return nil }
        return .message(element.isNull ? nil : body.rowID("parent_id"))
    }

    private static func content(_ body: inout JSONBody) -> (parts: String, text: RequestText?) {
        if let content = optionalContent(&body) { return content }
        body.addError("content", "required", "is required, or parts")
        return ("[]", nil)
    }

    /// The field of a content that says nothing: an answer may begin like that, a question may not.
    static func emptyContent(_ body: inout JSONBody) -> String? {
        if body.element("content")?.text?.isEmpty == true { return "content" }
        return body.element("parts")?.array?.isEmpty == true ? "parts" : nil
    }

    static let saysNothing = "must not be empty in a message of role user"

    /// `nil` without content and parts.
    static func optionalContent(_ body: inout JSONBody) -> (parts: String, text: RequestText?)? {
        let content = body.element("content").flatMap { $0.isNull ? nil : $0 }
        let parts = body.element("parts").flatMap { $0.isNull ? nil : $0 }
        switch (content, parts) {
        case (nil, nil):
            return nil
        case (_?, _?):
            body.addError("parts", "invalid", "cannot be combined with content")
            return ("[]", nil)
        case (let content?, nil):
            guard let text = content.text else {
                body.addError("content", "wrong_type", "must be a string, not \(content.typeName)")
                return ("[]", nil)
            }
            var writer = JSONWriter(reserving: text.byteCount + 64)
            writer.array { writer in
                writer.object { writer in
                    writer.field("type", "text")
                    writer.field("text", text)
                }
            }
            return (writer.string, text)
        case (nil, let parts?):
            return (parts.raw, check(parts, in: &body))
        }
    }

    /// The text of the text parts; `nil` without any.
    private static let textTypes: [RequestText] = ["text", "input_text", "output_text"]

    private static func check(_ parts: JSONElement, in body: inout JSONBody) -> RequestText? {
        guard let elements = parts.array else {
            body.addError("parts", "wrong_type", "must be an array, not \(parts.typeName)")
            return nil
        }
        let (text, wrong) = text(of: elements)
        for index in wrong { body.addError("parts[\(index)]", "invalid", "must be an object with a type") }
        return text
    }

    /// The text of parts, and the indices of those that are no parts.
    static func text(of parts: [JSONElement]) -> (text: RequestText?, wrong: [Int]) {
        var texts: [RequestText] = []
        var wrong: [Int] = []
        for (index, part) in parts.enumerated() {
            guard let type = part["type"]?.text, !type.isEmpty else {
                wrong.append(index)
                continue
            }
            if textTypes.contains(type), let text = part["text"]?.text { texts.append(text) }
        }
        return (texts.isEmpty ? nil : RequestText(texts.map(\.verbatim).joined(separator: "\n")), wrong)
    }
}
