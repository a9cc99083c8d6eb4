// Shapes of SQL that leave a planner one way to find rows.
//
// PostgreSQL chooses an index, and the order of a join, by statistics. A new or a restored database has none, and
// those of a thousand small conversations mislead it about a large one. The plan of a prepared statement stays until
// the table is analysed. So the statements of requests say which column finds a row, and which ones are compared
// only. Docs: docs/decisions/0036-one-plan.md.

package enum OnePlan {
    /// A condition that is compared on rows that another one finds. Neither engine answers it from an index.
    ///
    /// For `id = :id AND owner_id = :owner`, PostgreSQL may walk everything of the owner instead: without statistics it
    /// expects one row of a partial index.
    package static func check(_ condition: String) -> String { "(\(condition)) IS TRUE" }

    /// A join that looks up the rows of a table for each row before it, in this order, and in no other way. `condition`
    /// finds them by an index, from columns of what stands before.
    package static func each(_ table: String, as alias: String, where condition: String, _ engine: SQLEngine) -> String
    {
        // OFFSET 0: a subquery that PostgreSQL plans by itself. CROSS JOIN: an order that SQLite keeps
        // (https://www.sqlite.org/optoverview.html#crossjoin).
        engine == .postgres
            ? "CROSS JOIN LATERAL (SELECT \(alias).* FROM \(table) \(alias) WHERE \(condition) OFFSET 0) AS \(alias)"
            : "CROSS JOIN \(table) \(alias) ON \(condition)"
    }

    /// As `each`, where there may be no such row: its columns are NULL then.
    package static func eachOrNone(
        _ table: String,
        as alias: String,
        where condition: String,
        _ engine: SQLEngine
    ) -> String {
        engine == .postgres
            ? "LEFT JOIN LATERAL (SELECT \(alias).* FROM \(table) \(alias) WHERE \(condition) OFFSET 0) AS \(alias) ON TRUE"
            : "LEFT JOIN \(table) \(alias) ON \(condition)"
    }

    /// The rows of a group past a number or up to another one, by the index on both columns. They are ordered by both.
    ///
    /// With `group = :group AND number > :number`, PostgreSQL may walk an index on the number alone, through every
    /// other group, where its statistics know of one group only. A comparison of rows fits the one index, and has
    /// both its ends.
    package static func rows(
        of group: String,
        is value: String,
        past number: String,
        after place: String,
        upTo last: String? = nil,
        _ engine: SQLEngine
    ) -> String {
        guard engine == .postgres else {
            let end = last.map { " AND \(number) <= \($0)" } ?? ""
            return "\(group) = \(value) AND \(number) > \(place)\(end)"
        }
        let row = "(\(group), \(number))"
        return "\(row) > (\(value), \(place)) AND \(row) <= (\(value), \(last ?? String(Int64.max)))"
    }

    /// The rows of a group, by an index that begins with it. The order names the group first.
    ///
    /// For `group = :group ORDER BY key`, PostgreSQL may walk an index on the key through every other group, where its
    /// statistics know of one group only. Of a range it expects few rows.
    package static func group(_ group: String, is value: String) -> String {
        "\(group) >= \(value) AND \(group) <= \(value)"
    }

    /// The rows of a group after a place, by an index on the group and the key, and in its order, or against it if
    /// `isDescending`.
    package static func page(
        of group: String,
        is value: String,
        after key: [(column: String, place: String)],
        isDescending: Bool = false,
        _ engine: SQLEngine
    ) -> String {
        let columns = key.map(\.column)
        let places = key.map(\.place).joined(separator: ", ")
        let (past, end, direction) = isDescending ? ("<", ">=", " DESC") : (">", "<=", "")
        let row = columns.joined(separator: ", ")
        func order(_ columns: [String]) -> String { columns.map { $0 + direction }.joined(separator: ", ") }
        return engine == .postgres
            ? "(\(group), \(row)) \(past) (\(value), \(places)) AND \(group) \(end) \(value) ORDER BY \(order([group] + columns))"
            : "\(group) = \(value) AND (\(row)) \(past) (\(places)) ORDER BY \(order(columns))"
    }

    /// Whether a key is among the few that a query selects. The query runs once, and each key is looked up.
    package static func among(_ key: String, _ query: String, _ engine: SQLEngine) -> String {
        engine == .postgres ? "\(key) = ANY (ARRAY(\(query)))" : "\(key) IN (\(query))"
    }

    /// Stands before a statement, and collects the keys that a query selects.
    package static func few(_ query: String) -> String { "WITH few AS MATERIALIZED (\(query))" }

    /// Whether a key of several columns is in `few`. An index that begins with some of them finds the rows, of which
    /// few have another key.
    package static func amongFew(_ key: String, foundBy found: [String], _ engine: SQLEngine) -> String {
        let isAmong = "(\(key)) IN (SELECT \(key) FROM few)"
        guard engine == .postgres else { return isAmong }
        return (found.map { among($0, "SELECT few.\($0) FROM few", engine) } + [check(isAmong)])
            .joined(separator: " AND ")
    }
}
