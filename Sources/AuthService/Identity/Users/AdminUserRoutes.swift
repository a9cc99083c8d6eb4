// HTTP of users, for admins. Mounted behind `RoleMiddleware`.
import Hummingbird
import ServiceKit

struct AdminUserRoutes: Sendable {
    let users: Users
    let passwords: Passwords
    let sessions: Sessions

    func mount(on router: RouterGroup<AuthRequestContext>) {
        router.get("users", use: list)
        router.post("users", use: create)
        router.get("users/:id", use: get)
        router.patch("users/:id", use: update)
        router.delete("users/:id", use: delete)
        router.post("users/:id/deactivate", use: deactivate)
        router.post("users/:id/reactivate", use: reactivate)
        router.get("users/:id/sessions", use: listSessions)
        router.delete("users/:id/sessions", use: revokeSessions)
    }

    @Sendable private func list(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let query = QueryParameters(request)
        let filter = UserFilter(
            role: try query.choice("role", of: Role.self),
            isActive: try query.boolean("active"),
            prefix: try query.text("q")
        )
        let page = try await users.list(filter, try PageRequest(query, list: Users.listName))
        return .json(page.json(list: Users.listName) { $1.write(to: &$0) })
    }

    @Sendable private func create(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        let role = body.choice("role", of: Role.self) ?? .user
        let signup = Signup(reading: &body)
        try body.finish()
        guard let signup else { throw APIError(.validationFailed) }
        let origin = context.origin(of: request)
        return .user(
            try await passwords.create(signup, role: role, actor: caller.userID, origin: origin),
            created: true
        )
    }

    @Sendable private func get(_ request: Request, context: AuthRequestContext) async throws -> Response {
        guard let user = try await users.find(id: context.id()) else { throw APIError(.notFound) }
        return .user(user)
    }

    /// Role, or profile fields, or both.
    @Sendable private func update(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let id = try context.id()
        var body = try await request.jsonBody(limit: bodyLimit)
        let role = body.choice("role", of: Role.self)
        let profile = UserProfile(&body)
        try body.finish()
        let origin = context.origin(of: request)
        if let role { _ = try await users.setRole(id, role, actor: caller.userID, origin: origin) }
        return .user(try await users.update(id, profile: profile, actor: caller.userID, origin: origin))
    }

    @Sendable private func delete(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        try await users.delete(try context.id(), actor: caller.userID, origin: context.origin(of: request))
        return .noContent()
    }

    @Sendable private func deactivate(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let change = try await users.deactivate(
            try context.id(),
            actor: caller.userID,
            origin: context.origin(of: request)
        )
        return .user(change.user)
    }

    @Sendable private func reactivate(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let change = try await users.reactivate(
            try context.id(),
            actor: caller.userID,
            origin: context.origin(of: request)
        )
        return .user(change.user)
    }

    @Sendable private func listSessions(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let id = try context.id()
        let query = QueryParameters(request)
        guard try await users.find(id: id) != nil else { throw APIError(.notFound) }
        let page = try await sessions.list(
            ofUser: id,
            includeEnded: try query.boolean("ended") ?? false,
            try PageRequest(query, list: Sessions.listName)
        )
        return .json(page.json(list: Sessions.listName) { $1.write(to: &$0) })
    }

    @Sendable private func revokeSessions(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let count = try await sessions.revokeAll(
            ofUser: try context.id(),
            reason: .revokedByAdmin,
            actor: caller.userID,
            origin: context.origin(of: request)
        )
        return .json(JSONWriter.object { $0.field("revoked", count) })
    }
}
