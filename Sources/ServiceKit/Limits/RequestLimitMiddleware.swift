// Counts a request for the account that has proved itself.
package import Hummingbird

/// Stands in front of everything that costs more than a token.
package struct RequestLimitMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let counters: RequestCounters
    private let account: @Sendable (Request, Context) throws -> RequestScope.Account?

    /// - Parameters:
    ///   - counters: of the service.
    ///   - account: whose request it is, by a signature that was checked; `nil` where none is, and then the request
    ///     counts for its network.
    package init(
        counters: RequestCounters,
        account: @escaping @Sendable (Request, Context) throws -> RequestScope.Account?
    ) {
        self.counters = counters
        self.account = account
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        switch try account(request, context) {
        case .person(let id)?: try counters.count(person: id)
        case .client?: RequestScope.current?.identify(.client)
        case nil: break
        }
        return try await next(request, context)
    }
}
