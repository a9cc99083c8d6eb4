// HTTP of messages, below `/v1/conversations/{id}/messages`.
import HTTPTypes
import Hummingbird
import Storage
import WebSupport

struct MessageRoutes: Sendable {
    static let list = "messages"

    let messages: Messages

    func mount(on group: RouterGroup<ChatRequestContext>) {
        group
            .get("conversations/:id/messages", use: list)
            .post("conversations/:id/messages", use: append)
            .get("conversations/:id/messages/:message_id", use: get)
    }

    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let conversation = try context.id("id")
        let query = QueryParameters(request)
        let order = try query.choice("order", of: MessageOrder.self) ?? .asc
        let request = try PageRequest(query, list: Self.list)
        let page = try await messages.list(conversation, for: try context.caller, page: request, order: order)
        return .json(Self.json(page))
    }

    /// One message as an object, or a batch as `{"messages": […]}`.
    @Sendable func append(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let conversation = try context.id("id")
        let element = try await request.jsonElement(limit: BodyLimits.messages)
        let isBatch = element["messages"] != nil
        let attempt = try IdempotentAttempt(request, body: element, at: messages.clock.now(), random: messages.random)
        let appended = try await messages.append(to: conversation, by: try context.caller, once: attempt) { identify in
            isBatch ? try Self.batch(element, identify) : [try Self.one(element, identify)]
        }
        guard !isBatch else {
            return .json(
                JSONWriter.object { writer in
                    writer.array("data") { writer in
                        for message in appended.value { writer.object { message.write(to: &$0) } }
                    }
                },
                status: .created,
                headers: appended.headers
            )
        }
        guard let message = appended.value.first else { throw APIError(.internalError) }
        var headers = appended.headers
        headers[.location] = "/v1/conversations/\(conversation)/messages/\(message.id)"
        return Self.answer(message, status: .created, headers: headers)
    }

    private static func batch(_ element: JSONElement, _ identify: () -> String) throws -> [MessageDraft] {
        var body = try JSONBody(element)
        let elements = body.array("messages", count: 1...ConversationLimits.messages)
        if elements == nil, body.errors.isEmpty { body.refuse("messages", "required", "is required") }
        let drafts = MessageDraft.all(elements ?? [], in: &body, identify: identify)
        try body.finish()
        return drafts
    }

    private static func one(_ element: JSONElement, _ identify: () -> String) throws -> MessageDraft {
        var body = try JSONBody(element)
        let draft = MessageDraft(&body, path: "", identify: identify)
        try body.finish()
        return draft
    }

    @Sendable func get(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let message = try await messages.get(
            try context.id("message_id"),
            in: try context.id("id"),
            for: try context.caller
        )
        return Self.answer(message)
    }

    static func json(_ page: Page<Message>) -> JSONWriter {
        page.json(list: list) { writer, message in writer.object { message.write(to: &$0) } }
    }

    private static func answer(
        _ message: Message,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.eTag] = EntityTag.version(message.version)
        return .json(JSONWriter.object { message.write(to: &$0) }, status: status, headers: headers)
    }
}
