import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct TagRoutes: Sendable {
    static let list = "tags"

    let tags: Tags

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("tags", query: PageRequest.query, use: list)
            .patch("tags/:tag_id", use: rename)
            .delete("tags/:tag_id", use: delete)
            .get("conversations/:id/tags", use: ofConversation)
            .put("conversations/:id/tags", use: replace)
            .put("conversations/:id/tags/:name", use: add)
            .delete("conversations/:id/tags/:name", use: remove)
    }

    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let page = try PageRequest(context.query, list: Self.list)
        let found = try await tags.list(for: try context.caller, page: page)
        return .json(found.json(list: Self.list) { writer, tag in writer.object { tag.writeMembers(to: &$0) } })
    }

    @Sendable func rename(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("tag_id")
        var body = try await request.jsonBody(limit: BodyLimits.fields)
        let name = body.tagName("name")
        try body.finish()
        guard let name else { throw APIError(.internalError) }
        let renamed = try await tags.rename(id, to: name, by: try context.caller)
        return .json(JSONWriter.object { renamed.writeMembers(to: &$0) })
    }

    @Sendable func delete(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        try await tags.delete(try context.id("tag_id"), by: try context.caller)
        return .noContent()
    }

    @Sendable func ofConversation(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let conversation = try await tags.conversations.get(try context.id("id"), for: try context.caller)
        return Self.answer(conversation, isRead: true)
    }

    @Sendable func replace(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        var body = try await request.jsonBody(limit: BodyLimits.fields)
        let before = body.errors.count
        let names = body.tagNames("tags")
        if names == nil, body.errors.count == before { body.addError("tags", "required", "is required") }
        try body.finish()
        return try await change(.replace(names ?? []), request, context)
    }

    @Sendable func add(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        try await change(.add(TagName(inPath: context.segment("name"))), request, context)
    }

    @Sendable func remove(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        try await change(.remove(TagName(inPath: context.segment("name"))), request, context)
    }

    private func change(
        _ change: Tags.Change,
        _ request: Request,
        _ context: ChatRequestContext
    ) async throws -> Response {
        let conversation = try await tags.change(
            try context.id("id"),
            change,
            if: VersionPrecondition(request),
            by: try context.caller
        )
        return Self.answer(conversation)
    }

    private static func answer(_ conversation: Conversation, isRead: Bool = false) -> Response {
        let body = JSONWriter.object { $0.field("tags", conversation.tags) }
        // A tag that is renamed changes the answer, and not the conversation.
        let tag =
            isRead && !conversation.tags.isEmpty
            ? EntityTag.version(conversation.version, showing: body) : EntityTag.version(conversation.version)
        return .json(body, headers: [.eTag: tag])
    }
}
