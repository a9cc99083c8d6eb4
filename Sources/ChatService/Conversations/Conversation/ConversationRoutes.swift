import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct ConversationRoutes: Sendable {
    static let list = "conversations"

    let conversations: Conversations
    let trash: Trash

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("conversations", query: Self.listQuery, use: list)
            .post("conversations", use: create)
            .get("conversations/:id", query: QueryDeclaration(Self.include), use: get)
            .patch("conversations/:id", use: change)
    }

    private static let archived = QueryParameter.boolean("archived")
    private static let pinned = QueryParameter.boolean("pinned")
    private static let inTrash = QueryParameter.boolean("trash")
    private static let listQuery = PageRequest.numberedQuery.and(
        archived,
        pinned,
        inTrash,
        TagName.filter,
        SearchQuery.parameter
    )
    private static let include = QueryParameter.word(
        "include",
        of: ["messages", "votes", "messages,votes", "votes,messages"]
    )

    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let query = context.query
        if try query[Self.inTrash] ?? false { return try await listTrash(query, context) }
        let filter = Conversations.Filter(
            archived: try query[Self.archived],
            pinned: try query[Self.pinned],
            tag: try query[TagName.filter],
            query: try query[SearchQuery.parameter]
        )
        let request = try PageRequest(numbered: query, list: Self.list)
        let page = try await conversations.list(filter, for: try context.caller, page: request)
        return .json(
            try page.json(list: Self.list) { writer, item in try writer.object { try item.writeMembers(to: &$0) } }
        )
    }

    /// The trash has its own list, in the order of deletion.
    private func listTrash(_ query: QueryParameters, _ context: ChatRequestContext) async throws -> Response {
        let others: [any DeclaredParameter] = [
            Self.archived, Self.pinned, TagName.filter, SearchQuery.parameter, PageRequest.page,
        ]
        for other in others where query.has(other) {
            throw APIError.field(other.name, "invalid", "cannot be combined with trash")
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
        guard !messages.isEmpty else { return try Self.answer(conversation, status: made.status, headers: headers) }
        let all = PageRequest(limit: messages.count, cursor: nil, direction: .forward)
        let page = Page(fetched: messages, request: all, cursor: \.cursor)
        return try Self.answer(conversation, .init(messages: page), status: made.status, headers: headers)
    }

    @Sendable func get(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let names = try context.query[Self.include]?.split(separator: ",") ?? []
        let (conversation, included) = try await conversations.get(
            id,
            withMessages: names.contains("messages"),
            votes: names.contains("votes"),
            for: try context.caller
        )
        return try Self.answer(conversation, included, isRead: true)
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
        headers: HTTPFields = [:],
        isRead: Bool = false
    ) throws -> Response {
        var headers = headers
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
        let showsMore = try included.messages != nil || included.votes != nil || conversation.showsMore
        headers[.eTag] =
            isRead && showsMore
            ? EntityTag.version(conversation.version, showing: body) : EntityTag.version(conversation.version)
        return .json(body, status: status, headers: headers)
    }
}
