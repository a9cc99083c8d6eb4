// Protects against requests that another site causes.
//
// SECURITY: every unsafe request that carries *or sets* the session cookie must come from the public origin or a
// configured one. `Origin` decides, or else `Sec-Fetch-Site: same-origin`. Setting counts because a forged login would
// put the victim into the attacker's account.
import HTTPTypes
import Hummingbird
import ServiceKit

struct CSRFMiddleware: RouterMiddleware {
    let cookies: SessionCookiePolicy
    let allowedOrigins: Set<RequestText>

    init(cookies: SessionCookiePolicy, publicURL: String, corsOrigins: [String]) {
        self.cookies = cookies
        self.allowedOrigins = Set(([publicURL] + corsOrigins).map { RequestText($0) })
    }

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        if cookies.isCarried(by: request.headers) || setsCookie(request) {
            guard isAllowed(request.headers, method: RequestText(request.method.rawValue)) else {
                throw APIError(.csrfRefused)
            }
        }
        return try await next(request, context)
    }

    private func setsCookie(_ request: Request) -> Bool {
        // `/v1/validate` has the query of another service's request.
        request.uri.queryParameters["cookie"] != nil && !RequestText(request.uri.path).begins(with: "/v1/validate")
    }

    /// Whether a request of this method may use a cookie.
    func isAllowed(_ headers: HTTPFields, method: RequestText) -> Bool {
        if ["GET", "HEAD", "OPTIONS"].contains(method) { return true }
        if let origin = headers.text(.origin) { return allowedOrigins.contains(origin) }
        return headers.text(.fetchSite) == "same-origin"
    }
}
