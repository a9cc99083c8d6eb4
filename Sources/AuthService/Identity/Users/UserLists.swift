// Lists of users for admins: newest first, by keyset, with filters and a search by prefix.
package import ServiceKit
package import Storage

package struct UserFilter: Sendable {
    package var role: Role?
    package var isActive: Bool?
    package var prefix: String?

    package init(role: Role? = nil, isActive: Bool? = nil, prefix: RequestText? = nil) {
        self.role = role
        self.isActive = isActive
        self.prefix = prefix.flatMap { $0.isEmpty ? nil : Self.key(of: $0) }
    }

    /// A whole address with a domain in Unicode is looked for by its key. The beginning of such a domain has none.
    private static func key(of prefix: RequestText) -> String {
        if let email = Email(prefix), email.lookupKeys.count > 1 { return email.key }
        return LookupKey.of(prefix)
    }

    /// Sorts above every text that begins with the prefix.
    var prefixEnd: String? { prefix.map { $0 + "\u{10FFFF}" } }
}

extension Users {
    package static let listName = "users"

    package func list(_ filter: UserFilter, _ request: PageRequest) async throws(StorageError) -> Page<User> {
        var transaction = Transaction()
        let users = transaction.add(
            UserListStatements.page(
                of: filter,
                direction: request.direction,
                from: request.cursor ?? .beyondNewest,
                offset: request.offset ?? 0,
                limit: request.fetchCount
            )
        )
        let total = request.wantsCount ? transaction.add(UserListStatements.count(of: filter)) : nil
        let results = try await database.run(transaction)
        var found: [User] = []
        for row in results[users].rows { found.append(try User(row)) }
        var page = Page(fetched: found, request: request) { Cursor($0.createdAt, $0.id) }
        if let total { page.total = try results[total].first?.integer("total") }
        return page
    }
}

extension Users {
    /// Whether this is a first start.
    package func isEmpty() async throws(StorageError) -> Bool {
        let first = UserListStatements.page(of: UserFilter(), direction: .forward, from: .beyondNewest, limit: 1)
        return try await database.run(first).isEmpty
    }
}
