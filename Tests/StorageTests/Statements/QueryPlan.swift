// How an engine would run a statement, and whether it scans a whole table.
//
// PostgreSQL plans for all values at once (`force_generic_plan`), as a worker eventually does, or for given values
// where they decide. `EXPLAIN (GENERIC_PLAN)` is newer than 15, hence PREPARE and EXECUTE.
import Storage
import StoragePostgres
import TestSupport

struct QueryPlan {
    let statement: Statement
    let lines: [String]
    let engine: SQLEngine

    /// Tables of a handful of rows, for which any plan is right.
    static let smallTables: Set<String> = [
        "settings", "signing_keys", "ring_entries", "ring_nodes", "job_leases", "clients", "auth_feed", "change_feed",
    ]

    /// With `values`, a statement is planned for these values.
    static func read(
        _ statements: [Statement],
        values: [String: [SQLValue]] = [:],
        from database: any SQLDatabase
    ) async throws -> [QueryPlan] {
        switch database.engine {
        case .sqlite:
            try await database.holdingTransaction { transaction in
                try statements.map { statement in
                    // The text is compiled already, and numbers its parameters.
                    let explain = Statement(
                        positional: "plan." + statement.name,
                        .reads,
                        statement.parameters,
                        "EXPLAIN QUERY PLAN " + statement.text(for: .sqlite)
                    )
                    let rows = try transaction.run(
                        BoundStatement(explain, values[statement.name] ?? statement.parameters.map { _ in .null })
                    ).rows
                    return QueryPlan(
                        statement: statement,
                        lines: try rows.map { try $0.text("detail") },
                        engine: .sqlite
                    )
                }
            }
        case .postgres:
            // Only this connection runs scripts.
            try await database.withMigrationLock { connection in
                try statements.enumerated().map { index, statement in
                    let given = values[statement.name]
                    let types = statement.parameters.map(PostgresScript.typeName).joined(separator: ", ")
                    let literals = (given ?? statement.parameters.map { _ in .null }).map(PostgresScript.literal)
                    let mode = given == nil ? "force_generic_plan" : "force_custom_plan"
                    try connection.execute(script: "SET plan_cache_mode = \(mode)")
                    try connection.execute(
                        script: "PREPARE plan_\(index)\(types.isEmpty ? "" : "(\(types))") AS \(statement.sql)"
                    )
                    let arguments = literals.isEmpty ? "" : "(\(literals.joined(separator: ", ")))"
                    let explain = Statement(
                        "plan." + statement.name,
                        .reads,
                        "EXPLAIN EXECUTE plan_\(index)\(arguments)"
                    )
                    let rows = try connection.run(explain.bind()).rows
                    return QueryPlan(
                        statement: statement,
                        lines: try rows.map { try $0.text("QUERY PLAN") },
                        engine: .postgres
                    )
                }
            }
        }
    }

    var scans: [String] {
        switch engine {
        case .sqlite:
            // The result of a subquery is read whole.
            let derived = lines.compactMap { $0.wholeMatch(of: /(?:CO-ROUTINE|MATERIALIZE) (.+)/)?.1 }
            return lines.filter { line in
                // SQLite fills a Bloom filter from the whole table.
                guard line.hasPrefix("SCAN ") else {
                    return line.contains("AUTOMATIC") || line.contains("BLOOM FILTER")
                }
                let name = line.dropFirst("SCAN ".count)
                // FTS5 with a MATCH reads only matches, whatever the plan calls it.
                if name.contains(/VIRTUAL TABLE INDEX [0-9]+:.*M/) { return false }
                return !name.hasSuffix("CONSTANT ROW") && !name.hasSuffix("CONSTANT ROWS") && !derived.contains(name)
            }
        case .postgres:
            return lines.enumerated().filter { index, line in
                if let name = line.firstMatch(of: /Seq Scan on ([a-z_]+)/)?.1 {
                    return !Self.smallTables.contains(String(name))
                }
                guard
                    line.contains(
                        /(Index Scan|Index Only Scan|Index Scan Backward|Index Only Scan Backward) (using|on)/
                    )
                else { return false }
                // A node's details are below it, up to the next node.
                let details = lines[(index + 1)...].prefix { !$0.contains("->") }
                return !details.contains { $0.contains("Index Cond:") }
            }.map(\.element)
        }
    }

    /// Without those of a subplan, which sorts what one row has.
    var sorts: [String] {
        guard engine == .postgres else { return lines.filter { $0.contains("TEMP B-TREE FOR ORDER BY") } }
        var subplan: Int?
        return lines.filter { line in
            let depth = line.prefix { $0 == " " }.count
            if let start = subplan, depth <= start { subplan = nil }
            if subplan == nil, line.contains("SubPlan") { subplan = depth }
            return subplan == nil && line.contains("Sort  (cost")
        }
    }
}
