// SQL of the lists of users, newest first.
//
// Each filter has a statement of its own: a plan for `:role IS NULL OR …` fits every value and uses no index.
import ServiceKit
import Storage

enum UserListStatements {
    private static let state = "(:active IS NULL OR is_active = :active)"

    private static let parameters: StatementParameters = [
        "instant": .instant, "id": .text, "limit": .integer, "active": .boolean,
    ]

    /// A page number skips rows; only pages from the beginning have one.
    private static let forwardParameters = parameters + ["offset": .integer]

    private static let listAfter = Statement(
        "users.list_after",
        .reads,
        forwardParameters,
        """
        SELECT \(User.columns) FROM users
        WHERE (created_at, id) < (:instant, :id) AND \(state)
        ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset
        """
    )

    private static let listBefore = Statement(
        "users.list_before",
        .reads,
        parameters,
        """
        SELECT \(User.columns) FROM users
        WHERE (created_at, id) > (:instant, :id) AND \(state)
        ORDER BY created_at, id LIMIT :limit
        """
    )

    private static func listOfRole(_ name: String, isDescending: Bool) -> Statement {
        let parameters = isDescending ? forwardParameters : parameters
        return Statement(name, .reads, parameters + ["role": .text]) { engine in
            let page = OnePlan.page(
                of: "role",
                is: ":role",
                after: [("created_at", ":instant"), ("id", ":id")],
                isDescending: isDescending,
                engine
            )
            let offset = isDescending ? " OFFSET :offset" : ""
            return "SELECT \(User.columns) FROM users WHERE \(state) AND \(page) LIMIT :limit\(offset)"
        }
    }

    private static let listOfRoleAfter = listOfRole("users.list_of_role_after", isDescending: true)
    private static let listOfRoleBefore = listOfRole("users.list_of_role_before", isDescending: false)

    /// The users with an email or a name from `:first` up to `:end`, each once, so that a search reads and sorts only
    /// its matches.
    private static let found = """
        (
            SELECT \(User.columns) FROM users WHERE email_key >= :first AND email_key < :end
            UNION ALL
            SELECT \(User.columns) FROM users WHERE name_key >= :first AND name_key < :end
                AND (email_key IS NULL OR email_key < :first OR email_key >= :end)
        ) AS found
        """

    private static let searchAfter = Statement(
        "users.search_after",
        .reads,
        forwardParameters + ["role": .text, "first": .text, "end": .text],
        """
        SELECT \(User.columns) FROM \(found)
        WHERE (created_at, id) < (:instant, :id) AND \(state) AND (:role IS NULL OR role = :role)
        ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset
        """
    )

    private static let searchBefore = Statement(
        "users.search_before",
        .reads,
        parameters + ["role": .text, "first": .text, "end": .text],
        """
        SELECT \(User.columns) FROM \(found)
        WHERE (created_at, id) > (:instant, :id) AND \(state) AND (:role IS NULL OR role = :role)
        ORDER BY created_at, id LIMIT :limit
        """
    )

    static func page(
        of filter: UserFilter,
        direction: PageRequest.Direction,
        from cursor: Cursor,
        offset: Int64 = 0,
        limit: Int64
    ) -> BoundStatement {
        let forward = direction == .forward
        let role = filter.role?.rawValue
        let values: StatementValues = [
            "instant": cursor.instant, "id": cursor.id, "limit": limit, "active": filter.isActive,
        ]
        let forwardValues: StatementValues = values + ["offset": offset]
        if let prefix = filter.prefix {
            let searched: StatementValues = ["role": role, "first": prefix, "end": filter.prefixEnd]
            return forward ? searchAfter.bind(forwardValues + searched) : searchBefore.bind(values + searched)
        }
        if let role {
            let role: StatementValues = ["role": role]
            return forward ? listOfRoleAfter.bind(forwardValues + role) : listOfRoleBefore.bind(values + role)
        }
        return forward ? listAfter.bind(forwardValues) : listBefore.bind(values)
    }

    private static let count = Statement(
        "users.count",
        .reads,
        ["active": .boolean, "role": .text],
        """
        SELECT COUNT(*) AS total FROM users
        WHERE \(state) AND (:role IS NULL OR role = :role)
        """
    )

    private static let searchCount = Statement(
        "users.search_count",
        .reads,
        ["active": .boolean, "role": .text, "first": .text, "end": .text],
        """
        SELECT COUNT(*) AS total FROM \(found)
        WHERE \(state) AND (:role IS NULL OR role = :role)
        """
    )

    /// Reads every matching user, so only if a count is requested.
    static func count(of filter: UserFilter) -> BoundStatement {
        guard let prefix = filter.prefix else {
            return count.bind(["active": filter.isActive, "role": filter.role?.rawValue])
        }
        return searchCount.bind([
            "active": filter.isActive, "role": filter.role?.rawValue, "first": prefix, "end": filter.prefixEnd,
        ])
    }

    static let all = [
        listAfter, listBefore, listOfRoleAfter, listOfRoleBefore, searchAfter, searchBefore, count, searchCount,
    ]
}
