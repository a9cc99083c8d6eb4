// Cross-origin answers for the configured frontends only.
//
// SECURITY: credentials are allowed, so the answer names the requesting origin and varies by it. `*` or an echo of any
// origin would give every site the user's session.
import HTTPTypes
package import Hummingbird

package struct CORSMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let origins: Set<RequestText>

    private static var allowedHeaders: String {
        "Authorization, Content-Encoding, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, X-Request-ID"
    }

    package init(origins: [String]) {
        self.origins = Set(origins.map { RequestText($0) })
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers.text(.origin), origins.contains(origin) else {
            return varying(try await next(request, context))
        }
        if request.method == .options, request.headers.contains(.accessControlRequestMethod) {
            return allowing(
                origin,
                varying(
                    Response(
                        status: .noContent,
                        headers: [
                            .accessControlAllowMethods: "GET, POST, PUT, PATCH, DELETE",
                            .accessControlAllowHeaders: Self.allowedHeaders,
                            .accessControlMaxAge: "600",
                        ]
                    )
                )
            )
        }
        var response = allowing(origin, varying(try await next(request, context)))
        response.headers[.accessControlExposeHeaders] =
            "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID, WWW-Authenticate"
        return response
    }

    private func allowing(_ origin: RequestText, _ response: Response) -> Response {
        var response = response
        response.headers[.accessControlAllowOrigin] = origin.verbatim
        response.headers[.accessControlAllowCredentials] = "true"
        return response
    }

    private func varying(_ response: Response) -> Response {
        guard !origins.isEmpty else { return response }
        var response = response
        response.headers[.vary] = "Origin"
        return response
    }
}
