// Role, deactivation and deletion by admins, and self-deletion.
import HTTPTypes
import Hummingbird
import ServiceKit

struct UserStateRoutes: Sendable {
    let users: Users
    let states: UserStates
    let cookies: SessionCookiePolicy
    let deviceCookies: DeviceCookiePolicy

    func mountAuthenticated(on router: RouteGroup<AuthRequestContext>) {
        router.delete("me", use: deleteMe)
    }

    /// Behind `RoleMiddleware`.
    func mountAdmin(on router: RouteGroup<AuthRequestContext>) {
        router.patch("users/:id", use: update)
        router.delete("users/:id", use: delete)
        router.post("users/:id/deactivate", use: deactivate)
        router.post("users/:id/reactivate", use: reactivate)
    }

    @Sendable private func deleteMe(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        try await states.delete(caller.userID, actor: caller.userID, from: context.clientInfo(of: request))
        var clearing: [String] = []
        if cookies.isCarried(by: request.headers) { clearing.append(cookies.clearing) }
        if deviceCookies.isCarried(by: request.headers) { clearing.append(deviceCookies.clearing) }
        var headers: HTTPFields = [:]
        headers[values: .setCookie] = clearing
        return .noContent(headers: headers)
    }

    /// Role, profile fields, or both.
    @Sendable private func update(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let id = try context.id()
        var body = try await request.jsonBody(limit: bodyLimit)
        let role = body.choice("role", of: Role.self)
        let profile = UserProfile(&body, urlSchemes: users.urlSchemes)
        body.refuseNull("role")
        try body.finish()
        let clientInfo = context.clientInfo(of: request)
        if let role { _ = try await states.setRole(id, role, actor: caller.userID, from: clientInfo) }
        let user = try await users.update(id, profile: profile, actor: caller.userID, from: clientInfo)
        guard let user else { throw APIError(.notFound) }
        return .user(user)
    }

    @Sendable private func delete(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        try await states.delete(try context.id(), actor: caller.userID, from: context.clientInfo(of: request))
        return .noContent()
    }

    @Sendable private func deactivate(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let change = try await states.deactivate(
            try context.id(),
            actor: caller.userID,
            from: context.clientInfo(of: request)
        )
        return .user(change.user)
    }

    @Sendable private func reactivate(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let change = try await states.reactivate(
            try context.id(),
            actor: caller.userID,
            from: context.clientInfo(of: request)
        )
        return .user(change.user)
    }
}

extension UserStateError: ClosedError {
    package var answer: any Error {
        switch self {
        case .noSuchUser: APIError(.notFound)
        case .lastAdmin: APIError(.lastAdmin)
        case .fault(let error): error
        }
    }
}
