package import ServiceKit
// Lists of users, for admins: newest first, by keyset, filtered by role and state, searched by prefix.
package import Storage

/// What an admin looks for.
package struct UserFilter: Sendable {
    package var role: Role?
    package var isActive: Bool?
    /// The beginning of an email address or a name, in any case.
    package var prefix: String?

    package init(role: Role? = nil, isActive: Bool? = nil, prefix: String? = nil) {
        self.role = role
        self.isActive = isActive
        self.prefix = prefix.flatMap { $0.isEmpty ? nil : Email.key(of: $0) }
    }

    /// No text that begins with the prefix sorts at or above it.
    var prefixEnd: String? { prefix.map { $0 + "\u{10FFFF}" } }
}

extension Users {
    package static let listName = "users"

    package func list(_ filter: UserFilter, _ request: PageRequest) async throws(StorageError) -> Page<User> {
        var unit = [filter.page(request)]
        if request.wantsCount { unit.append(filter.count) }
        let results = try await database.run(unit)
        var users: [User] = []
        for row in results[0].rows { users.append(try User(row)) }
        var page = Page(fetched: users, request: request) { Cursor($0.createdAt, $0.id) }
        if request.wantsCount { page.total = try results[1].first?.integer("total") }
        return page
    }
}

extension UserFilter {
    /// The statement that reads a page by the index that fits: of all users, of a role, or of what a search finds.
    fileprivate func page(_ request: PageRequest) -> BoundStatement {
        let forward = request.direction == .forward
        let cursor = request.cursor ?? .beyondNewest
        let role = role?.rawValue
        if let prefix {
            let statement = forward ? UserStatements.searchAfter : UserStatements.searchBefore
            return statement(cursor.instant, cursor.id, request.fetchCount, isActive, role, prefix, prefixEnd)
        }
        if let role {
            let statement = forward ? UserStatements.listOfRoleAfter : UserStatements.listOfRoleBefore
            return statement(cursor.instant, cursor.id, request.fetchCount, isActive, role)
        }
        let statement = forward ? UserStatements.listAfter : UserStatements.listBefore
        return statement(cursor.instant, cursor.id, request.fetchCount, isActive)
    }

    fileprivate var count: BoundStatement {
        guard let prefix else { return UserStatements.count(isActive, role?.rawValue) }
        return UserStatements.searchCount(isActive, role?.rawValue, prefix, prefixEnd)
    }
}

extension Users {
    /// Whether there is no user at all: a first start.
    package func isEmpty() async throws(StorageError) -> Bool {
        let cursor = Cursor.beyondNewest
        return try await database.run(UserStatements.listAfter(cursor.instant, cursor.id, 1, nil as Bool?)).isEmpty
    }
}
