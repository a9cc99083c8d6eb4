import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct ConversationRoutes: Sendable {
    static let list = "conversations"
    private static let sidebar = "sidebar"

    let conversations: Conversations
    let trash: Trash

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("conversations", query: Self.listQuery, use: list)
            .post("conversations", use: create)
            .get("conversations/:id", query: QueryDeclaration(Self.include), use: get)
            .patch("conversations/:id", use: change)
            .put("conversations/:id/read", use: read)
    }

    enum Sort: String, CaseIterable {
        case updatedAt = "updated_at"
        case lastMessageAt = "last_message_at"
    }

    enum ListInclusion: String, CaseIterable {
        case lastMessage = "last_message"
    }

    private static let sort = QueryParameter.choice("sort", of: Sort.self)
    private static let listInclude = QueryParameter.choice("include", of: ListInclusion.self)

    private static let archived = QueryParameter.boolean("archived")
    private static let pinned = QueryParameter.boolean("pinned")
    private static let inTrash = QueryParameter.boolean("trash")
    private static let listQuery = PageRequest.numberedQuery.and(
        archived,
        pinned,
        inTrash,
        TagName.filter,
        SearchQuery.parameter,
        sort,
        listInclude
    )
    private static let include = QueryParameter.word(
        "include",
        of: ["messages", "votes", "messages,votes", "votes,messages"]
    )

    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let query = context.query
        if try query[Self.inTrash] ?? false { return try await listTrash(query, context) }
        if try query[Self.sort] == .lastMessageAt { return try await listSidebar(query, context) }
        if try query[Self.listInclude] != nil {
            throw APIError.field("include", "invalid", "needs sort=last_message_at")
        }
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

    /// What is not archived, pinned ones first, by the last message.
    private func listSidebar(_ query: QueryParameters, _ context: ChatRequestContext) async throws -> Response {
        let others: [any DeclaredParameter] = [TagName.filter, SearchQuery.parameter, PageRequest.page]
        for other in others where query.has(other) {
            throw APIError.field(other.name, "invalid", "cannot be combined with sort=last_message_at")
        }
        if try query[Self.archived] == true {
            throw APIError.field("archived", "invalid", "cannot be combined with sort=last_message_at")
        }
        let asked = Conversations.SidebarRequest(
            pinned: try query[Self.pinned],
            withLast: try query[Self.listInclude] == .lastMessage
        )
        let request = try PageRequest(query, list: Self.sidebar)
        let page = try await conversations.sidebar(asked, for: try context.caller, page: request)
        return .json(
            try page.json(list: Self.sidebar) { writer, item in try writer.object { try item.writeMembers(to: &$0) } }
        )
    }

    @Sendable func read(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        var body = try await request.jsonBody(limit: BodyLimits.fields)
        let sequence = body.integer("seq", in: 0...Int64(Int32.max))
        if sequence == nil, body.errors.isEmpty { body.addError("seq", "required", "is required") }
        try body.finish()
        let marked = try await conversations.mark(id, read: sequence ?? 0, by: try context.caller)
        return .json(try JSONWriter.object { try marked.writeMarker(to: &$0) })
    }

    /// The trash has its own list, in the order of deletion.
    private func listTrash(_ query: QueryParameters, _ context: ChatRequestContext) async throws -> Response {
        let others: [any DeclaredParameter] = [
            Self.archived, Self.pinned, TagName.filter, SearchQuery.parameter, PageRequest.page, Self.listInclude,
        ]
        for other in others where query.has(other) {
            throw APIError.field(other.name, "invalid", "cannot be combined with trash")
        }
        // Generated clients send the default.
        guard try query[Self.sort] != .lastMessageAt else {
            throw APIError.field("sort", "invalid", "cannot be combined with trash")
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
