import Hummingbird
import ServiceKit

struct AdminUserRoutes: Sendable {
    let users: Users

    func mount(on router: RouterGroup<AuthRequestContext>) {
        router.get("users", use: list)
        router.get("users/:id", use: get)
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

    @Sendable private func get(_ request: Request, context: AuthRequestContext) async throws -> Response {
        guard let user = try await users.find(id: context.id()) else { throw APIError(.notFound) }
        return .user(user)
    }
}
