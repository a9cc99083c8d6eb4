// Rows read and written past the API, by statements that a test spells where it needs them.

package import Storage
internal import Testing

extension SQLDatabase {
    /// The rows of a SELECT whose parameters are the values' names.
    package func query(_ sql: String, _ values: StatementValues = [:]) async throws -> [Row] {
        try await run(.spelled("test.query", .reads, sql, values)).rows
    }

    /// Runs a statement that writes.
    ///
    /// - Returns: how many rows it affected.
    @discardableResult
    package func execute(_ sql: String, _ values: StatementValues = [:]) async throws -> Int {
        try await run(.spelled("test.execute", .writes, sql, values)).affected
    }

    /// How many rows a table has, or a table with a condition: `sessions WHERE user_id = :user`.
    package func count(_ rows: String, _ values: StatementValues = [:]) async throws -> Int {
        try #require(try await query("SELECT COUNT(*) AS n FROM \(rows)", values).first).int("n")
    }
}

extension BoundStatement {
    /// Declares each parameter with the type of its value; NULL counts as text.
    fileprivate static func spelled(
        _ name: String,
        _ effect: Statement.Effect,
        _ sql: String,
        _ values: StatementValues
    ) -> BoundStatement {
        let types = values.elements.map { ($0, $1.sqlValue.type ?? .text) }
        return Statement(name, effect, StatementParameters(types), sql).bind(values)
    }
}
