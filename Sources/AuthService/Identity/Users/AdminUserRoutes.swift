import Hummingbird
import ServiceKit

struct AdminUserRoutes: Sendable {
    let users: Users

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get("users", query: PageRequest.numberedQuery.and(Self.prefix, Self.role, Self.active), use: list)
        router.get("users/:id", use: get)
    }

    private static let prefix = QueryParameter.text("q")
    private static let role = QueryParameter.choice("role", of: Role.self)
    private static let active = QueryParameter.boolean("active")

    @Sendable private func list(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let filter = UserFilter(
            role: try context.query[Self.role],
            isActive: try context.query[Self.active],
            prefix: try context.query[Self.prefix]
        )
        let page = try await users.list(filter, try PageRequest(numbered: context.query, list: Users.listName))
        return .json(page.json(list: Users.listName) { $1.write(to: &$0) })
    }

    @Sendable private func get(_ request: Request, context: AuthRequestContext) async throws -> Response {
        guard let user = try await users.find(id: context.id()) else { throw APIError(.notFound) }
        return .user(user)
    }
}
