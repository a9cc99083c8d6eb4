// The outermost middleware turns every error into one problem+json. An unknown error is 500 with the request's id, and
// its cause is logged.
import HTTPTypes
package import Hummingbird
import Logging
import NIOHTTP1
import Storage

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
            return answer(to: error, context)
        }
    }

    private func answer(to error: any Error, _ context: Context) -> Response {
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
            return translate(error, context).response(requestID: context.requestID)
        case is HTTPParserError:
            // In the middle of a body. Where the next request would begin is not known.
            return APIError(
                .badRequest,
                detail: "The body is not framed as HTTP has it.",
                headers: [.connection: "close"]
            )
            .response(requestID: context.requestID)
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
    private func translate(_ error: any HTTPResponseError, _ context: Context) -> APIError {
        switch error.status {
        case .notFound:
            let allowed = routes.methods(for: context.target.path)
            guard !allowed.isEmpty else { return APIError(.notFound) }
            // RFC 9110 §15.5.6: a 405 lists the allowed methods.
            return APIError(.methodNotAllowed, headers: [.allow: allowed.joined(separator: ", ")])
        case .contentTooLarge: return APIError(.bodyTooLarge)
        case .badRequest: return APIError(.badRequest)
        default: return APIError(.internalError)
        }
    }
}
