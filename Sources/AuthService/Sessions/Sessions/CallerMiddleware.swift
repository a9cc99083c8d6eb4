import Hummingbird
import ServiceKit
import TesseraVerifierHummingbird

struct CallerMiddleware: RouterMiddleware {
    let sessions: Sessions
    let cookies: SessionCookiePolicy
    let counters: RequestCounters

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        if let claims = context.accessToken {
            // A role change raises the version, which the verifier has just compared, so the claim is current.
            guard let session = claims.sessionID, let role = claims.role.flatMap(Role.init(rawValue:)) else {
                throw APIError(.tokenInvalid)
            }
            context.caller = Caller(userID: claims.subject, sessionID: session, role: role)
        } else if let value = cookies.value(in: request.headers) {
            guard let cookie = SessionCookie(value: value) else { throw APIError(.tokenInvalid) }
            let (state, _) = try await sessions.current(cookie: cookie)
            // Whose cookie it is only its row says; that of a token is known before (RequestLimitMiddleware).
            try counters.count(person: state.user.id)
            context.caller = Caller(userID: state.user.id, sessionID: state.session.id, role: state.user.role)
        } else {
            throw APIError(.tokenMissing)
        }
        return try await next(request, context)
    }
}

struct RoleMiddleware: RouterMiddleware {
    let role: Role

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        guard try context.requireCaller().role == role else { throw APIError(.roleRequired) }
        return try await next(request, context)
    }
}

enum TokenFailures {
    static func apiError(_ failure: TokenFailure) -> APIError {
        APIError(ErrorCode(rawValue: failure.code) ?? .tokenInvalid, headers: failure.headers)
    }

    static func apiError(_ error: VerificationError) -> APIError {
        apiError(TokenFailure(error))
    }
}
