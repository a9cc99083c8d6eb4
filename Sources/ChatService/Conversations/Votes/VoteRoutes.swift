import HTTPTypes
import Hummingbird
import ServiceKit

struct VoteRoutes: Sendable {
    static let list = "votes"

    let votes: Votes

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("conversations/:id/votes", query: PageRequest.query, use: list)
            .put("conversations/:id/messages/:message_id/vote", use: vote)
            .delete("conversations/:id/messages/:message_id/vote", use: remove)
    }

    @Sendable func list(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let page = try PageRequest(context.query, list: Self.list)
        let found = try await votes.list(try context.id("id"), for: try context.caller, page: page)
        return .json(found.json(list: Self.list) { writer, vote in writer.object { vote.writeMembers(to: &$0) } })
    }

    @Sendable func vote(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let (conversation, message) = (try context.id("id"), try context.id("message_id"))
        var body = try await request.jsonBody(limit: BodyLimits.fields)
        let before = body.errors.count
        let value = body.choice("value", of: VoteValue.self)
        if value == nil, body.errors.count == before { body.addError("value", "required", "is required") }
        try body.finish()
        let vote = try await votes.vote(value ?? .none, on: message, in: conversation, by: try context.caller)
        return .json(JSONWriter.object { vote.writeMembers(to: &$0) })
    }

    @Sendable func remove(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let (conversation, message) = (try context.id("id"), try context.id("message_id"))
        _ = try await votes.vote(.none, on: message, in: conversation, by: try context.caller)
        return .noContent()
    }
}
