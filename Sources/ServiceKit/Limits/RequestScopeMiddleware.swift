// Gives each request its scope, and counts those without an account for the network that they come from.
import HTTPTypes
package import Hummingbird

/// Stands outside `ErrorMiddleware`, so that every answer says what is left, refusals included.
package struct RequestScopeMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let memory: MemoryBudget
    private let counters: RequestCounters
    private let isExempt: @Sendable (_ path: String) -> Bool
    private let isOpen: @Sendable (_ path: String) -> Bool

    /// - Parameters:
    ///   - memory: of the process.
    ///   - counters: of the service.
    ///   - isExempt: which paths serve others than persons, so that their address stands for no person.
    ///   - isOpen: which paths change something for a caller whose account no middleware has proved.
    package init(
        memory: MemoryBudget,
        counters: RequestCounters,
        isExempt: @escaping @Sendable (_ path: String) -> Bool = { _ in false },
        isOpen: @escaping @Sendable (_ path: String) -> Bool = { _ in false }
    ) {
        self.memory = memory
        self.counters = counters
        self.isExempt = isExempt
        self.isOpen = isOpen
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let path = request.uri.path
        // Load balancers ask, from the address that every client may seem to have.
        if path == "/healthz" || path == "/readyz" { return try await next(request, context) }
        let scope = RequestScope(budget: memory, network: context.clientAddress.network)
        return try await RequestScope.$current.withValue(scope) {
            var response: Response
            if isExempt(path) {
                response = try await next(request, context)
            } else if isOpen(path) || !Self.hasCredentials(request) {
                if let refusal = refusal(context) {
                    response = refusal
                } else {
                    response = try await next(request, context)
                }
            } else {
                response = try await next(request, context)
                // Only what proved no account counts, which shows when it was looked at.
                if scope.account == nil, let refusal = refusal(context), Self.changedNothing(request, response) {
                    response = refusal
                }
            }
            scope.verdict?.add(to: &response.headers)
            return response
        }
    }

    private static func hasCredentials(_ request: Request) -> Bool {
        request.headers.contains(.authorization) || request.headers.contains(.cookie)
    }

    /// Whether a refusal may take the place of the answer.
    private static func changedNothing(_ request: Request, _ response: Response) -> Bool {
        request.method == .get || request.method == .head || response.status.kind == .clientError
    }

    private func refusal(_ context: Context) -> Response? {
        do throws(APIError) {
            try counters.count(from: context.clientAddress)
            return nil
        } catch {
            return error.response(requestID: context.requestID)
        }
    }
}
