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
    let allowedOrigins: AllowedOrigins

    /// In a query, it asks for the session cookie.
    static let cookieParameter = "cookie"

    init(cookies: SessionCookiePolicy, publicURL: String, corsOrigins: [String], loopback: Bool = false) {
        self.cookies = cookies
        self.allowedOrigins = AllowedOrigins([publicURL] + corsOrigins, loopback: loopback)
    }

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        // Behind `/v1/validate` stands the query of another server's request.
        let setsCookie =
            context.target.names(Self.cookieParameter) && !RequestText(context.target.path).begins(with: "/v1/validate")
        if cookies.isCarried(by: request.headers) || setsCookie {
            guard isAllowed(request.headers, method: RequestText(request.method.rawValue)) else {
                throw setsCookie && Self.isCrossSite(request.headers) ? .cookieCrossSite : APIError(.csrfRefused)
            }
        }
        return try await next(request, context)
    }

    /// Whether a browser says that the page is on another site, so that it would keep no `SameSite=Lax` cookie.
    static func isCrossSite(_ headers: HTTPFields) -> Bool { headers.text(.fetchSite) == "cross-site" }

    /// Whether a request of this method may use a cookie.
    func isAllowed(_ headers: HTTPFields, method: RequestText) -> Bool {
        if ["GET", "HEAD", "OPTIONS"].contains(method) { return true }
        if let origin = headers.text(.origin) { return allowedOrigins.contains(origin) }
        return headers.text(.fetchSite) == "same-origin"
    }
}
