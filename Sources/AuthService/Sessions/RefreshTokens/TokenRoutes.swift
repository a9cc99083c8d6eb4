import Hummingbird
import ServiceKit

struct TokenRoutes: Sendable {
    let refreshEndpoint: RefreshEndpoint

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.post("token/refresh", use: refresh)
    }

    @Sendable private func refresh(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let clientInfo = context.clientInfo(of: request)
        var body = try await request.jsonBody(limit: bodyLimit)
        let token = body.requiredText("refresh_token")
        let retryKey = RetryKey.read(from: &body)
        let audience = refreshEndpoint.tokens.accessTokens.audiences.read(from: &body)
        try body.finish()
        let client = TokenClient.firstParty(audience: audience)
        let response = try await refreshEndpoint(token, retryKey: retryKey, client: client, from: clientInfo)
        return .json(response.json())
    }
}

extension APIError {
    static let otherAudience = APIError.field(
        TokenAudiences.field,
        "invalid",
        "must be the audience that the session was opened for"
    )
}

extension RefreshError: ClosedError {
    package var answer: any Error {
        switch self {
        case .invalid: APIError(.refreshTokenInvalid)
        case .reused: APIError(.refreshTokenReused)
        case .ended(let refusal): refusal.answer
        case .otherAudience: APIError.otherAudience
        case .rateLimited(let error): error
        case .undecided: APIError.retry(.databaseUnavailable, afterSeconds: 1)
        case .fault(let error): error
        }
    }
}
