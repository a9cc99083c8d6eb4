// HTTP of `/v1/conversations`.
import HTTPTypes
import Hummingbird
import Storage
import WebSupport

struct ConversationRoutes: Sendable {
    static let list = "conversations"

    let conversations: Conversations
    let messages: Messages

    /// What `?include=` can ask for.
    enum Inclusion: String, CaseIterable {
        case messages
    }

    func mount(on group: RouterGroup<ChatRequestContext>) {
        group
            .get("conversations", use: list)
            .post("conversations", use: create)
            .get("conversations/:id", use: get)
            .patch("conversations/:id", use: change)
            .delete("conversations/:id", use: trash)
    }

    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let query = QueryParameters(request)
        let filter = Conversations.Filter(
            archived: try query.boolean("archived"),
            pinned: try query.boolean("pinned"),
            query: query["q"] == nil ? nil : try SearchRoutes.query(query)
        )
        let request = try PageRequest(query, list: Self.list)
        let page = try await conversations.list(filter, for: try context.caller, page: request)
        return .json(page.json(list: Self.list) { writer, item in writer.object { item.write(to: &$0) } })
    }

    @Sendable func create(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let body = try await request.jsonBody(limit: BodyLimits.messages)
        let draft = try ConversationDraft(body, identify: messages.makeID)
        let (conversation, made) = try await conversations.create(draft, by: try context.caller)
        let location: HTTPFields = [.location: "/v1/conversations/\(conversation.id)"]
        guard !draft.messages.isEmpty else { return Self.answer(conversation, status: .created, headers: location) }
        let all = PageRequest(limit: max(made.count, 1), cursor: nil, direction: .forward)
        let page = Page(fetched: made, request: all, cursor: \.cursor)
        return Self.answer(conversation, messages: page, status: .created, headers: location)
    }

    @Sendable func get(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        guard try QueryParameters(request).choice("include", of: Inclusion.self) == .messages else {
            return Self.answer(try await conversations.get(id, for: try context.caller))
        }
        let (conversation, newest) = try await conversations.getWithMessages(id, for: try context.caller)
        return Self.answer(conversation, messages: newest)
    }

    @Sendable func change(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let patch = try ConversationPatch(try await request.jsonBody(limit: BodyLimits.fields))
        let changed = try await conversations.change(
            id,
            patch,
            if: VersionPrecondition(request),
            by: try context.caller
        )
        return Self.answer(changed)
    }

    @Sendable func trash(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        try await conversations.trash(id, if: VersionPrecondition(request), by: try context.caller)
        return .noContent()
    }

    private static func answer(
        _ conversation: Conversation,
        messages: Page<Message>? = nil,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.eTag] = EntityTag.version(conversation.version)
        let body = JSONWriter.object { writer in
            conversation.write(to: &writer)
            guard let messages else { return }
            writer.array("messages") { writer in
                for message in messages.items { writer.object { message.write(to: &$0) } }
            }
            // Older ones are on the messages' own pages: `?before=` this cursor.
            let older = messages.hasMore ? messages.previous : nil
            writer.field("messages_prev_cursor", older?.encoded(for: MessageRoutes.list))
        }
        return .json(body, status: status, headers: headers)
    }
}
