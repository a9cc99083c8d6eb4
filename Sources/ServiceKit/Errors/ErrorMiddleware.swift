// The outermost middleware turns every error into one problem+json. An unknown error is 500 with the request's id, and
// its cause is logged.
import HTTPTypes
package import Hummingbird
import Logging
import NIOCore
import Storage
import Synchronization

package struct ErrorMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let routes: RouteTable

    package init(routes: RouteTable) {
        self.routes = routes
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            return answer(to: error, request, context)
        }
    }

    private func answer(to error: any Error, _ request: Request, _ context: Context) -> Response {
        switch (error as? any DomainError)?.lastAnswer ?? error {
        case let error as APIError:
            return error.response(requestID: context.requestID)
        case let error as StorageError:
            context.logger.error(
                "storage fault",
                metadata: ["error": "\(error)", "request_id": "\(context.requestID)"]
            )
            return APIError(error).response(requestID: context.requestID)
        case let error as any HTTPResponseError:
            return translate(error, request).response(requestID: context.requestID)
        case is CancellationError:
            return APIError.retry(.databaseUnavailable, afterSeconds: 1).response(requestID: context.requestID)
        default:
            context.logger.error(
                "unexpected error",
                metadata: ["error": "\(String(reflecting: type(of: error)))", "request_id": "\(context.requestID)"]
            )
            return APIError(.internalError).response(requestID: context.requestID)
        }
    }

    /// Hummingbird's own errors: no such route, or a body over the limit.
    private func translate(_ error: any HTTPResponseError, _ request: Request) -> APIError {
        switch error.status {
        case .notFound:
            let allowed = routes.methods(for: request.uri.path)
            guard !allowed.isEmpty else { return APIError(.notFound) }
            // RFC 9110 §15.5.6: a 405 lists the allowed methods.
            return APIError(.methodNotAllowed, headers: [.allow: allowed.joined(separator: ", ")])
        case .contentTooLarge: return APIError(.bodyTooLarge)
        case .badRequest: return APIError(.badRequest)
        default: return APIError(.internalError)
        }
    }
}

/// The methods of each path. Filled once, after every route is mounted.
package final class RouteTable: Sendable {
    private let routes = Mutex<[(pattern: [RequestText], method: String)]>([])

    package init() {}

    package func fill(from router: Router<some RequestContext>) {
        let mounted = router.routes.map { (pattern: Self.segments($0.path.description), method: $0.method.rawValue) }
        routes.withLock { $0 = mounted }
    }

    func methods(for path: String) -> [String] {
        let segments = Self.segments(path)
        let matching = routes.withLock { routes in routes.filter { Self.matches($0.pattern, segments) } }
        // The router prefers a literal segment to a parameter, and does not return for the parameter's methods.
        let ranks = matching.map { $0.pattern.map { Self.isParameter($0) ? "1" : "0" }.joined() }
        let nearest = zip(ranks, matching).filter { $0.0 == ranks.min() }
        return Set(nearest.map(\.1.method)).sorted()
    }

    private static func segments(_ path: String) -> [RequestText] { RequestText(path).pieces(between: "/") }

    private static func matches(_ pattern: [RequestText], _ segments: [RequestText]) -> Bool {
        pattern.count == segments.count
            && zip(pattern, segments).allSatisfy { $0 == $1 || isParameter($0) }
    }

    private static func isParameter(_ segment: RequestText) -> Bool {
        segment.begins(with: ":") || segment.begins(with: "{")
    }
}
