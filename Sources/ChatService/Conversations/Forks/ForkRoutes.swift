// HTTP of forking.
import HTTPTypes
import Hummingbird
import ServiceKit

struct ForkRoutes: Sendable {
    let forks: Forks

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group.post("conversations/:id/fork", use: fork)
    }

    @Sendable func fork(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        let element = try await request.optionalJSONElement(limit: BodyLimits.fields)
        let attempt = try IdempotentAttempt(request, body: element, at: forks.clock.now(), ids: forks.ids)
        var body = try element.map { element throws(APIError) in try JSONBody(element) } ?? .empty
        let message = body.rowID("message_id")
        let title = body.filled("title", max: ConversationLimits.title).value
        try body.finish()
        let made = try await forks.fork(id, at: message, title: title, by: try context.caller, once: attempt)
        var headers = made.headers
        headers[.location] = "/v1/conversations/\(made.value.id)"
        return try ConversationRoutes.answer(made.value, status: .created, headers: headers)
    }
}
