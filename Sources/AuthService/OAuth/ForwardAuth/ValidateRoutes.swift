// `/v1/validate`: forward authentication, for gateways that ask before they pass a request on (nginx `auth_request`,
// Caddy `forward_auth`, Traefik, Envoy `ext_authz`).
//
// The answer is 200 with the caller in `X-Auth-…` fields, or the refusal for the client. Some gateways append the
// original path (Envoy); path, query, method and body do not identify the caller. A service's token is refused, because
// it has no user.
//
// SECURITY: every 200 has every field, some empty. Otherwise a gateway that copies them would pass on a field that the
// client forged.
import HTTPTypes
import Hummingbird
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct ValidateRoutes: Sendable {
    let introspector: TokenIntrospector
    let sessions: Sessions
    let cookies: SessionCookiePolicy
    let csrf: CSRFMiddleware
    let counters: RequestCounters

    /// Every method that the HTTP parser accepts: a gateway may keep the original one. SwiftNIO passes M-SEARCH on
    /// without its dash.
    static let methods = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "ACL", "BIND", "CHECKOUT",
        "COPY",
        "LINK", "LOCK", "M-SEARCH", "MSEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY",
        "PROPFIND",
        "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND", "UNLINK", "UNLOCK",
        "UNSUBSCRIBE", "QUERY",
    ].compactMap { HTTPRequest.Method($0) }

    func mount(on router: RouteGroup<AuthRequestContext>) {
        for method in Self.methods {
            router.on("validate", method: method, query: .ignored, use: validate)
            router.on("validate/**", method: method, query: .ignored, use: validate)
        }
    }

    @Sendable private func validate(_ request: Request, context: AuthRequestContext) async throws -> Response {
        switch BearerToken.read(request.headers) {
        case .token(let token):
            let claims = try await user(token)
            try counters.count(askedAbout: claims.subject)
            return Self.answer(claims)
        case .unreadable: throw TokenFailures.apiError(VerificationError(.malformed))
        case .none: break
        }
        guard let value = cookies.value(in: request.headers) else { throw APIError(.tokenMissing) }
        // SECURITY: a cookie counts only for requests that no other site can cause. Gateways that ask with GET send the
        // original method in one of these fields, which browsers do not let other sites set.
        let methods = [.forwardedMethod, .originalMethod].flatMap { request.headers.texts($0) }
        guard methods.allSatisfy({ csrf.isAllowed(request.headers, method: $0) }) else { throw APIError(.csrfRefused) }
        guard let cookie = SessionCookie(value: value) else { throw APIError(.tokenInvalid) }
        let state = try await sessions.current(cookie: cookie).state
        try counters.count(askedAbout: state.user.id)
        return Self.answer(state)
    }

    /// For auth's own audience, as for every bearer token here.
    private func user(_ token: String) async throws -> AccessTokenClaims {
        do {
            let claims = try await introspector.claims(of: token)
            guard claims.audience.contains(AuthConfiguration.ownAudience) else {
                throw VerificationError(.wrongAudience, claim: "aud")
            }
            guard claims.isUser else { throw VerificationError(.missingClaim, claim: "sid") }
            return claims
        } catch let error as VerificationError {
            throw TokenFailures.apiError(error)
        }
    }

    private static func answer(_ claims: AccessTokenClaims) -> Response {
        answer(
            user: claims.subject,
            session: claims.sessionID ?? "",
            client: claims.clientID ?? "",
            role: claims.role ?? "",
            kind: claims.kind ?? "",
            scope: claims.scope.joined(separator: " "),
            emailVerified: claims.emailVerified ?? false
        )
    }

    private static func answer(_ state: SessionState) -> Response {
        answer(
            user: state.user.id,
            session: state.session.id,
            client: AuthConfiguration.firstPartyClient,
            role: state.user.role.rawValue,
            kind: state.user.kind,
            scope: "",
            emailVerified: state.user.emailVerifiedAt != nil
        )
    }

    private static func answer(
        user: String,
        session: String,
        client: String,
        role: String,
        kind: String,
        scope: String,
        emailVerified: Bool
    ) -> Response {
        Response(
            status: .ok,
            headers: [
                .authUser: user, .authSession: session, .authClient: client, .authRole: role, .authKind: kind,
                .authScope: scope, .authEmailVerified: emailVerified ? "true" : "false", .cacheControl: "no-store",
            ]
        )
    }
}
