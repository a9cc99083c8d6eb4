// HTTP of the refresh.
import Hummingbird
import WebSupport

struct TokenRoutes: Sendable {
    let tokens: Tokens
    let throttle: Throttle

    func mount(on router: RouterGroup<AuthRequestContext>) {
        router.post("token/refresh", use: refresh)
    }

    @Sendable private func refresh(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let origin = context.origin(of: request)
        var body = try await request.jsonBody(limit: bodyLimit)
        let token = body.requiredString("refresh_token")
        try body.finish()
        do {
            return .json(try await tokens.refresh(token, origin: origin).json())
        } catch let error as APIError where error.code == .refreshTokenInvalid {
            // Only refusals are counted: a good refresh is one unit, and a guess costs the guesser a counter.
            try await throttle.admit(.refreshFailure, from: origin)
            throw error
        }
    }
}
