import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct MessageRoutes: Sendable {
    static let list = "messages"

    /// The list's name in cursors of one branch. A cursor of one branch is invalid on another, and the head may move
    /// while its branch is being paged. So the leaf is part of the name.
    static func branch(_ leaf: String) -> String { branchPrefix + leaf }

    private static let branchPrefix = "branch/"

    /// The leaf in a cursor's list name.
    private static func leaf(ofCursor text: RequestText) throws -> String {
        guard let leaf = Cursor.list(of: text)?.dropping(prefix: RequestText(branchPrefix)), RowID.isValid(leaf) else {
            throw APIError(.invalidCursor)
        }
        return leaf.verbatim
    }

    let messages: Messages

    enum Inclusion: String, CaseIterable {
        case siblings
    }

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("conversations/:id/messages", query: Self.listQuery, use: list)
            .post("conversations/:id/messages", use: append)
            .delete("conversations/:id/messages", query: QueryDeclaration(Self.afterSequence), use: truncate)
            .get("conversations/:id/messages/:message_id", query: QueryDeclaration(Self.include), use: get)
            .patch("conversations/:id/messages/:message_id", use: change)
            .delete("conversations/:id/messages/:message_id", use: delete)
    }

    private static let order = QueryParameter.choice("order", of: MessageOrder.self)
    private static let include = QueryParameter.choice("include", of: Inclusion.self)
    private static let leaf = QueryParameter.text("leaf")
    private static let last = QueryParameter.integer("last", in: 1...100)
    private static let around = QueryParameter.id("around")
    private static let listQuery = PageRequest.numberedQuery.and(order, include, leaf, last, around)
    private static let afterSequence = QueryParameter.integer("after_seq", in: 0...Int(Int32.max)).required

    /// The whole conversation by number, or with `?leaf=` one branch.
    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let conversation = try context.id("id")
        let query = context.query
        let order = try query[Self.order] ?? .asc
        let siblings = try query[Self.include] == .siblings
        let caller = try context.caller
        if let message = try query[Self.around] {
            return try await list(conversation, around: message, query, order, siblings: siblings, for: caller)
        }
        guard let leaf = try query[Self.leaf] else {
            let request = try Self.lastPage(query, order) ?? PageRequest(numbered: query, list: Self.list)
            let page = try await messages.list(
                conversation,
                for: caller,
                page: request,
                order: order,
                siblings: siblings
            )
            return .json(try Self.json(page))
        }
        guard !query.has(PageRequest.page) else {
            throw APIError.field("page", "invalid", "cannot be combined with leaf")
        }
        guard leaf == "head" || RowID.isValid(leaf) else { throw APIError(.notFound) }
        // The head of the previous page: this branch is continued even if the head has moved.
        let pinned = try (query[PageRequest.after] ?? query[PageRequest.before]).flatMap {
            leaf == "head" ? try Self.leaf(ofCursor: $0) : nil
        }
        let own = pinned ?? (leaf == "head" ? nil : leaf.verbatim)
        let request = try Self.lastPage(query, order) ?? PageRequest(query, list: Self.branch(own ?? ""))
        // A count would need a walk of the whole branch.
        guard !request.wantsCount else { throw APIError.field("count", "invalid", "cannot be combined with leaf") }
        let page = try await messages.branch(
            conversation,
            leaf: own,
            isHeads: pinned != nil,
            for: caller,
            page: request,
            order: order,
            siblings: siblings
        )
        // Without a cursor, the page begins at the leaf.
        let first = order == .asc ? page.items.last : page.items.first
        return .json(try Self.json(page, list: Self.branch(own ?? first?.id ?? "")))
    }

    /// `?around=`: a message within its branch, with the cursors to go on in both directions.
    private func list(
        _ conversation: String,
        around message: String,
        _ query: QueryParameters,
        _ order: MessageOrder,
        siblings: Bool,
        for caller: Caller
    ) async throws -> Response {
        let others: [any DeclaredParameter] = [
            PageRequest.after, PageRequest.before, PageRequest.page, Self.leaf, Self.last,
        ]
        for other in others where query.has(other) {
            throw APIError.field("around", "invalid", "cannot be combined with \(other.name)")
        }
        guard order == .asc else { throw APIError.field("around", "invalid", "cannot be combined with order=desc") }
        guard try query[PageRequest.count] != true else {
            throw APIError.field("count", "invalid", "cannot be combined with around")
        }
        let limit = try query[PageRequest.limit] ?? PageRequest.defaultLimit
        let (page, leaf) = try await messages.around(
            message,
            in: conversation,
            limit: limit,
            for: caller,
            siblings: siblings
        )
        return .json(
            try page.json(list: Self.branch(leaf), more: { $0.field("leaf_id", leaf) }) { writer, message in
                try writer.object { try message.writeMembers(to: &$0) }
            }
        )
    }

    /// `?last=50`: the newest 50, oldest first. Generated clients send every default, so a `limit` that is the default
    /// or says the same is no contradiction.
    private static func lastPage(_ query: QueryParameters, _ order: MessageOrder) throws -> PageRequest? {
        guard let last = try query[Self.last] else { return nil }
        let others: [any DeclaredParameter] = [PageRequest.after, PageRequest.before, PageRequest.page]
        for other in others where query.has(other) {
            throw APIError.field("last", "invalid", "cannot be combined with \(other.name)")
        }
        if let limit = try query[PageRequest.limit], limit != last, limit != PageRequest.defaultLimit {
            throw APIError.field("last", "invalid", "cannot be combined with another limit")
        }
        guard order == .asc else { throw APIError.field("last", "invalid", "cannot be combined with order=desc") }
        let wantsCount = try query[PageRequest.count] ?? false
        return PageRequest(limit: last, cursor: nil, direction: .backward, wantsCount: wantsCount)
    }

    /// One message as an object, or a batch as `{"messages": […]}`.
    @Sendable func append(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let conversation = try context.id("id")
        let element = try await request.jsonElement(limit: BodyLimits.messages)
        let isBatch = element["messages"] != nil
        let attempt = try IdempotentAttempt(request, body: element, at: messages.clock.now(), ids: messages.ids)
        let appended = try await messages.append(to: conversation, by: try context.caller, once: attempt) { identify in
            isBatch ? try Self.batch(element, identify) : [try Self.one(element, identify)]
        }
        guard !isBatch else {
            return .json(
                try JSONWriter.object { writer in
                    try writer.array("data") { writer in
                        for message in appended.value { try writer.object { try message.writeMembers(to: &$0) } }
                    }
                },
                status: appended.status,
                headers: appended.headers
            )
        }
        guard let message = appended.value.first else { throw APIError(.internalError) }
        var headers = appended.headers
        headers[.location] = "/v1/conversations/\(conversation)/messages/\(message.id)"
        return try Self.answer(message, status: appended.status, headers: headers)
    }

    private static func batch(_ element: JSONElement, _ identify: () -> String) throws -> [MessageDraft] {
        var body = try JSONBody(element)
        let elements = body.array("messages", count: 1...ConversationLimits.messages)
        if elements == nil, body.errors.isEmpty { body.addError("messages", "required", "is required") }
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
            for: try context.caller,
            siblings: try context.query[Self.include] == .siblings
        )
        return try Self.answer(message)
    }

    @Sendable func change(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let (id, conversation) = (try context.id("message_id"), try context.id("id"))
        let patch = try MessagePatch(try await request.jsonBody(limit: BodyLimits.messages))
        let changed = try await messages.change(
            id,
            in: conversation,
            patch,
            if: VersionPrecondition(request),
            by: try context.caller
        )
        return try Self.answer(changed)
    }

    @Sendable func delete(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        try await messages.delete(
            try context.id("message_id"),
            in: try context.id("id"),
            if: VersionPrecondition(request),
            by: try context.caller
        )
        return .noContent()
    }

    /// The number is required: no request deletes all messages by an omission.
    @Sendable func truncate(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let conversation = try context.id("id")
        guard let sequence = try context.query[Self.afterSequence] else { throw APIError(.internalError) }
        let done = try await messages.truncate(conversation, after: Int64(sequence), by: try context.caller)
        return .json(
            JSONWriter.object { writer in
                writer.field("deleted", done.deleted)
                writer.field("message_count", done.messageCount)
                writer.field("last_seq", done.lastSequence)
                writer.field("head_message_id", done.headMessageID)
            }
        )
    }

    static func json(_ page: Page<Message>, list: String = list) throws -> JSONWriter {
        try page.json(list: list) { writer, message in try writer.object { try message.writeMembers(to: &$0) } }
    }

    private static func answer(
        _ message: Message,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:]
    ) throws -> Response {
        var headers = headers
        let body = try JSONWriter.object { try message.writeMembers(to: &$0) }
        headers[.eTag] =
            message.showsSiblings
            ? EntityTag.version(message.version, showing: body) : EntityTag.version(message.version)
        return .json(body, status: status, headers: headers)
    }
}
