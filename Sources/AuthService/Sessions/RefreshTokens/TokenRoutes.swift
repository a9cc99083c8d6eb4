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
        try body.finish()
        return .json(try await refreshEndpoint(token, retryKey: retryKey, from: clientInfo).json())
    }
}

extension RefreshError: ClosedError {
    package var answer: any Error {
        switch self {
        case .invalid: APIError(.refreshTokenInvalid)
        case .reused: APIError(.refreshTokenReused)
        case .ended(let refusal): refusal.answer
        case .rateLimited(let error): error
        case .undecided: APIError.retry(.databaseUnavailable, afterSeconds: 1)
        case .fault(let error): error
        }
    }
}
