// Statistics and erasure for admins, behind a required role. No answer and no log line has content; admins cannot read
// conversations.
import Hummingbird
import Logging
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct AdminDataRoutes: Sendable {
    let data: AdminData
    let erasures: Erasures
    /// `following`, or `not_following` for a node that runs without auth's events.
    let feedState: String
    let logger: Logger

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("stats", use: stats)
            .get("users/:id/data", use: summary)
            .delete("users/:id/data", use: erase)
            .get("users/:id/data/erasure", use: receipt)
    }

    @Sendable func stats(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let statistics = try await data.statistics()
        let (principals, conversations) = (statistics.principals, statistics.conversations)
        return .json(
            try JSONWriter.object { writer in
                writer.field("users", try principals.integer("users"))
                writer.field("guests", try principals.integer("guests"))
                writer.field("deactivated", try principals.integer("deactivated"))
                writer.field("erased", try principals.integer("erased"))
                writer.field("tokens_total", try principals.integer("tokens"))
                writer.field("conversations", try conversations.integer("conversations"))
                writer.field("trashed_conversations", try conversations.integer("trashed"))
                writer.field("messages", try conversations.integer("messages"))
                writer.field("erasures_running", try statistics.erasures.integer("running"))
                writer.field("oldest_running_erasure_at", try statistics.erasures.optionalInstant("oldest"))
                writer.field("auth_feed_state", feedState)
                writer.field("auth_feed_moved_at", try statistics.feed.optionalInstant("moved_at"))
            }
        )
    }

    @Sendable func summary(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let summary = try await data.summary(of: id)
        let row = summary.row
        log("user data summary read", id, context)
        return .json(
            try JSONWriter.object { writer in
                writer.field("user_id", try row.text("id"))
                try writer.text("kind", of: row)
                writer.field("active", try row.boolean("is_active"))
                try writer.integer("tokens_total", of: row)
                try writer.integer("conversations", of: row)
                writer.field("trashed_conversations", try row.integer("trashed"))
                try writer.integer("messages", of: row)
                writer.field("last_change_at", try row.optionalInstant("changed_at"))
                try writer.instant("first_seen_at", of: row)
                try writer.instant("last_seen_at", of: row)
                try writer.optionalInstant("deactivated_at", of: row)
                try writer.optionalInstant("erased_at", of: row)
                guard let receipt = summary.erasure else { return writer.field("erasure", raw: "null") }
                writer.object("erasure") { receipt.writeMembers(to: &$0) }
            }
        )
    }

    @Sendable func erase(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let receipt = try await erasures.erase(id, .admin, by: try context.caller.id)
        log("user data erased", id, context)
        return DataRoutes.answer(receipt, at: "/v1/chat/admin/users/\(id)/data/erasure")
    }

    @Sendable func receipt(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        guard let receipt = try await erasures.receipt(of: try context.id("id")) else { throw APIError(.notFound) }
        return .json(JSONWriter.object { receipt.writeMembers(to: &$0) })
    }

    private func log(_ what: String, _ target: String, _ context: ChatRequestContext) {
        logger.notice(
            "\(what)",
            metadata: [
                "actor": "\(context.accessToken?.subject ?? "")", "target": "\(target)",
                "request_id": "\(context.requestID)",
            ]
        )
    }
}
