import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct ConversationRoutes: Sendable {
    static let list = "conversations"

    let conversations: Conversations
    let trash: Trash

    func mount(on group: RouterGroup<ChatRequestContext>) {
        group
            .get("conversations", use: list)
            .post("conversations", use: create)
            .get("conversations/:id", use: get)
            .patch("conversations/:id", use: change)
    }

    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let query = QueryParameters(request)
        if try query.boolean("trash") ?? false { return try await listTrash(query, context) }
        let tag = try query.text("tag")
        let filter = Conversations.Filter(
            archived: try query.boolean("archived"),
            pinned: try query.boolean("pinned"),
            tag: tag.flatMap { TagName($0) },
            query: query["q"] == nil ? nil : try SearchQuery(query)
        )
        if tag != nil, filter.tag == nil { throw APIError.field("tag", "invalid", "is no name of a tag") }
        let request = try PageRequest(numbered: query, list: Self.list)
        let page = try await conversations.list(filter, for: try context.caller, page: request)
        return .json(
            try page.json(list: Self.list) { writer, item in try writer.object { try item.writeMembers(to: &$0) } }
        )
    }

    /// The trash has its own list, in the order of deletion.
    private func listTrash(_ query: QueryParameters, _ context: ChatRequestContext) async throws -> Response {
        for name in ["archived", "pinned", "tag", "q", "page"] where query[name] != nil {
            throw APIError.field(name, "invalid", "cannot be combined with trash")
        }
        let request = try PageRequest(query, list: TrashRoutes.list)
        let page = try await trash.list(for: try context.caller, page: request)
        return .json(
            try page.json(list: TrashRoutes.list) { writer, item in try writer.object { try item.writeMembers(to: &$0) }
            }
        )
    }

    @Sendable func create(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let body = try await request.jsonElement(limit: BodyLimits.messages)
        let attempt = try IdempotentAttempt(
            request,
            body: body,
            at: conversations.clock.now(),
            ids: conversations.ids
        )
        let made = try await conversations.create(by: try context.caller, once: attempt) { identify in
            try ConversationDraft(JSONBody(body), identify: identify)
        }
        let (conversation, messages) = made.value
        var headers = made.headers
        headers[.location] = "/v1/conversations/\(conversation.id)"
        guard !messages.isEmpty else { return try Self.answer(conversation, status: .created, headers: headers) }
        let all = PageRequest(limit: messages.count, cursor: nil, direction: .forward)
        let page = Page(fetched: messages, request: all, cursor: \.cursor)
        return try Self.answer(conversation, .init(messages: page), status: .created, headers: headers)
    }

    @Sendable func get(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let names = QueryParameters(request)["include"]?.pieces(between: ",").map { $0.keyword ?? "" } ?? []
        guard names.allSatisfy({ $0 == "messages" || $0 == "votes" }) else {
            throw APIError.field("include", "invalid", "must be messages, votes, or both with a comma")
        }
        let (conversation, included) = try await conversations.get(
            id,
            withMessages: names.contains("messages"),
            votes: names.contains("votes"),
            for: try context.caller
        )
        return try Self.answer(conversation, included)
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
        return try Self.answer(changed)
    }

    static func answer(
        _ conversation: Conversation,
        _ included: Conversations.Included = .init(),
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:]
    ) throws -> Response {
        var headers = headers
        headers[.eTag] = EntityTag.version(conversation.version)
        let body = try JSONWriter.object { writer in
            try conversation.writeMembers(to: &writer)
            if let votes = included.votes {
                writer.array("votes") { writer in
                    for vote in votes { writer.object { vote.writeMembers(to: &$0) } }
                }
            }
            guard let messages = included.messages else { return }
            try writer.array("messages") { writer in
                for message in messages.items { try writer.object { try message.writeMembers(to: &$0) } }
            }
            // `?before=` this cursor returns older ones from the messages' own pages.
            let older = messages.hasMore ? messages.previous : nil
            writer.field("messages_prev_cursor", older?.encoded(for: MessageRoutes.list))
        }
        return .json(body, status: status, headers: headers)
    }
}
