// Counts a request for the person whose token was verified.
import Hummingbird
import ServiceKit

/// Stands behind `TokenVerifierMiddleware`, in front of everything that costs more than a token.
struct RequestLimitMiddleware: RouterMiddleware {
    let counters: RequestCounters

    func handle(
        _ request: Request,
        context: ChatRequestContext,
        next: @concurrent (Request, ChatRequestContext) async throws -> Response
    ) async throws -> Response {
        try counters.count(person: try context.caller.id)
        return try await next(request, context)
    }
}
