// Cross-origin answers for the configured frontends only.
//
// SECURITY: credentials are allowed, so the answer names the requesting origin and varies by it. `*` or an echo of any
// origin would give every site the user's session.
import HTTPTypes
package import Hummingbird

package struct CORSMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let origins: AllowedOrigins
    private let own: RequestText
    private let foreign: [RequestText]
    private let refused = RefusedOrigins()

    private static var allowedHeaders: String {
        """
        Authorization, Content-Encoding, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, \
        X-Request-ID, traceparent, tracestate
        """
    }

    private static var exposedHeaders: String {
        "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID, WWW-Authenticate"
    }

    /// - Parameters:
    ///   - origins: the frontends.
    ///   - publicURL: the service's own origin, which needs no permission.
    ///   - foreign: the beginnings of paths below which a gateway asks about requests to another server. Their origin
    ///     is that server's business.
    package init(origins: AllowedOrigins, publicURL: String, foreign: [String] = []) {
        self.origins = origins
        own = RequestText(publicURL)
        self.foreign = foreign.map { RequestText($0) }
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let path = RequestText(context.target.path)
        guard let origin = request.headers.text(.origin), !foreign.contains(where: { path.begins(with: $0) }) else {
            return varying(try await next(request, context))
        }
        let isPreflight = request.method == .options && request.headers.contains(.accessControlRequestMethod)
        guard origins.contains(origin) else {
            let isOwn = origin == own || request.headers.text(.fetchSite) == "same-origin"
            if !isOwn { refused.note(origin, context.logger) }
            if isPreflight, !isOwn { return varying(APIError(.originRefused).response(requestID: context.requestID)) }
            return varying(try await next(request, context))
        }
        if isPreflight {
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
        response.headers[.accessControlExposeHeaders] = Self.exposedHeaders
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
