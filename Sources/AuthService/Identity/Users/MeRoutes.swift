import Hummingbird
import ServiceKit

struct MeRoutes: Sendable {
    let users: Users

    func mountAuthenticated(on router: RouteGroup<AuthRequestContext>) {
        router.get("me", use: get)
        router.patch("me", use: update)
    }

    @Sendable private func get(_ request: Request, context: AuthRequestContext) async throws -> Response {
        guard let user = try await users.find(id: context.requireCaller().userID) else { throw APIError(.notFound) }
        return .user(user)
    }

    @Sendable private func update(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        let profile = UserProfile(&body, urlSchemes: users.urlSchemes)
        try body.finish()
        let clientInfo = context.clientInfo(of: request)
        let user = try await users.update(caller.userID, profile: profile, actor: caller.userID, from: clientInfo)
        guard let user else { throw APIError(.notFound) }
        return .user(user)
    }
}

extension Response {
    static func user(_ user: User, created: Bool = false) -> Response {
        var writer = JSONWriter()
        user.write(to: &writer)
        return .json(writer, status: created ? .created : .ok)
    }
}
