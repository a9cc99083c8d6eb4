import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct TrashRoutes: Sendable {
    static let list = "trash"

    let trash: Trash

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .delete("conversations", query: Self.removal, use: removeAll)
            .delete("conversations/:id", query: QueryDeclaration(Self.permanent), use: remove)
            .post("conversations/:id/restore", use: restore)
    }

    private static let permanent = QueryParameter.boolean("permanent")
    private static let all = QueryParameter.boolean("all")
    private static let archived = QueryParameter.boolean("archived")
    private static let before = QueryParameter.instant("before")
    private static let removal = QueryDeclaration(all, TagName.filter, archived, before, permanent)

    @Sendable func remove(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let precondition = VersionPrecondition(request)
        if try context.query[Self.permanent] ?? false {
            try await trash.remove(id, if: precondition, by: try context.caller)
        } else {
            try await trash.put(id, if: precondition, by: try context.caller)
        }
        return .noContent()
    }

    /// All of them only where the request says so: no request deletes everything by leaving something out.
    @Sendable func removeAll(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let query = context.query
        let permanently = try query[Self.permanent] ?? false
        let isAll = try query[Self.all] ?? false
        let choice = Trash.Choice(
            tag: try query[TagName.filter],
            archived: try query[Self.archived],
            before: try query[Self.before]
        )
        guard isAll || choice != .all else {
            throw APIError.field(
                "all",
                "required",
                "must be true, unless tag, archived or before choose what is deleted"
            )
        }
        guard !isAll || choice == .all else {
            throw APIError.field("all", "invalid", "cannot be combined with tag, archived or before")
        }
        let removed = try await trash.removeAll(choice, permanently: permanently, by: try context.caller)
        return .json(
            JSONWriter.object { writer in
                writer.field("conversations", removed.conversations)
                writer.field("messages", removed.messages)
                writer.field("permanent", permanently)
            }
        )
    }

    @Sendable func restore(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let restored = try await trash.restore(id, if: VersionPrecondition(request), by: try context.caller)
        return try ConversationRoutes.answer(restored)
    }
}
