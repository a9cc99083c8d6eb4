import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct TrashRoutes: Sendable {
    static let list = "trash"

    let trash: Trash

    func mount(on group: RouterGroup<ChatRequestContext>) {
        group
            .delete("conversations", use: removeAll)
            .delete("conversations/:id", use: remove)
            .post("conversations/:id/restore", use: restore)
    }

    @Sendable func remove(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let precondition = VersionPrecondition(request)
        if try QueryParameters(request).boolean("permanent") ?? false {
            try await trash.remove(id, if: precondition, by: try context.caller)
        } else {
            try await trash.put(id, if: precondition, by: try context.caller)
        }
        return .noContent()
    }

    @Sendable func removeAll(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let permanently = try QueryParameters(request).boolean("permanent") ?? false
        let removed = try await trash.removeAll(permanently: permanently, by: try context.caller)
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
