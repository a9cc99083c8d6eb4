// Puts the token of a `?ticket=` into the request that opens a stream, before the verifier judges it. So everything
// behind it, the checks while the stream is open included, is the same as with a header.
import HTTPTypes
import Hummingbird
import ServiceKit

struct StreamTicketMiddleware: RouterMiddleware {
    static let ticket = QueryParameter.text("ticket")

    let tickets: StreamTickets

    func handle(
        _ request: Request,
        context: ChatRequestContext,
        next: @concurrent (Request, ChatRequestContext) async throws -> Response
    ) async throws -> Response {
        guard context.target.names(Self.ticket.name), request.method == .get else {
            return try await next(request, context)
        }
        let query = try QueryParameters(context.target, ChangeRoutes.query)
        guard let ticket = try query[Self.ticket] else { return try await next(request, context) }
        // SECURITY: two credentials could be judged differently by two readers.
        guard request.headers.text(.authorization) == nil else {
            throw APIError.field(Self.ticket.name, "invalid", "cannot be combined with Authorization")
        }
        guard request.acceptsEventStream else {
            throw APIError.field(Self.ticket.name, "invalid", "opens a stream: Accept must be text/event-stream")
        }
        var head = request.head
        head.headerFields[.authorization] = "Bearer \(try await tickets.use(ticket))"
        return try await next(Request(head: head, body: request.body), context)
    }
}
