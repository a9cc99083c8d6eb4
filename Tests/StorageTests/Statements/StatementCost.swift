// What PostgreSQL reads for a statement: the rows that its plan looks at, and the buffers.
import Storage
import StoragePostgres

struct StatementCost {
    let statement: Statement
    let lines: [String]
    /// Rows that were fetched, those of triggers among them. The server counts none that an index alone has answered.
    let fetched: Int

    /// Rows that were looked at.
    var rows: Int { max(scanned, fetched) }

    /// Rows that the plan's scans of tables returned, and those that a filter or a second look took away.
    private var scanned: Int {
        var sum = 0
        var loops = 1
        var isScan = false
        for line in lines {
            if let node = line.firstMatch(of: /\(actual rows=([0-9]+) loops=([0-9]+)\)/) {
                loops = Int(node.2) ?? 1
                isScan = line.contains(/(Seq|Index|Index Only|Heap) Scan/) && !line.contains("Bitmap Index Scan")
                if isScan { sum += (Int(node.1) ?? 0) * loops }
            } else if isScan, let removed = line.firstMatch(of: /Rows Removed by (Filter|Index Recheck): ([0-9]+)/) {
                sum += (Int(removed.2) ?? 0) * loops
            }
        }
        return sum
    }

    /// Of the whole statement, without its triggers.
    var buffers: Int {
        guard let line = lines.first(where: { $0.contains("Buffers: ") }) else { return 0 }
        return line.matches(of: /(hit|read)=([0-9]+)/).reduce(0) { $0 + (Int($1.2) ?? 0) }
    }

    /// What the statement returned, or wrote.
    var result: Int {
        let nodes = lines.compactMap { $0.firstMatch(of: /\(actual rows=([0-9]+) loops/).flatMap { Int($0.1) } }
        let isWrite = lines.first?.contains(/^(Insert|Update|Delete) on/) ?? false
        return max(nodes.first ?? 0, isWrite ? nodes.dropFirst().first ?? 0 : 0)
    }

    private static let fetched = Statement(
        "cost.fetched",
        .reads,
        "SELECT CAST(COALESCE(SUM(seq_tup_read + idx_tup_fetch), 0) AS bigint) AS rows FROM pg_stat_xact_user_tables"
    )

    /// What a statement is measured with.
    struct Case: Sendable {
        let values: @Sendable (Statement) -> [SQLValue]
        /// A script that runs before it, in its transaction.
        let before: @Sendable (Statement) -> String
    }

    /// Measures statements on one connection, each in a transaction that is undone. The connection plans as a worker's
    /// does: after the script `known`, and not again after the script `unknown`.
    static func measure(
        _ statements: [Statement],
        known: String,
        unknown: String,
        cases: [Case],
        on database: any SQLDatabase
    ) async throws -> [StatementCost] {
        try await database.withMigrationLock { connection in
            try connection.execute(
                script:
                    "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off; SET enable_sort = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
            )
            try connection.execute(script: known)
            for (index, statement) in statements.enumerated() {
                let types = statement.parameters.map(PostgresScript.typeName).joined(separator: ", ")
                let nulls = statement.parameters.map { _ in "NULL" }.joined(separator: ", ")
                let arguments = nulls.isEmpty ? "" : "(\(nulls))"
                try connection.execute(
                    script: "PREPARE cost_\(index)\(types.isEmpty ? "" : "(\(types))") AS \(statement.sql)"
                )
                // The plan is made now, and kept.
                try connection.execute(script: "EXPLAIN EXECUTE cost_\(index)\(arguments)")
            }
            try connection.execute(script: unknown)
            return try cases.flatMap { one in
                try statements.enumerated().map { index, statement in
                    let literals = one.values(statement).map(PostgresScript.literal).joined(separator: ", ")
                    let explain = Statement(
                        "cost.\(statement.name)",
                        .reads,
                        "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, COSTS OFF) EXECUTE cost_\(index)\(literals.isEmpty ? "" : "(\(literals))")"
                    )
                    try connection.execute(script: "BEGIN")
                    defer { try? connection.execute(script: "ROLLBACK") }
                    try connection.execute(script: one.before(statement))
                    let before = try connection.run(fetched.bind()).first?.integer("rows") ?? 0
                    let lines: [String]
                    do {
                        lines = try connection.run(explain.bind()).rows.map { try $0.text("QUERY PLAN") }
                    } catch {
                        return StatementCost(statement: statement, lines: ["\(error)"], fetched: .max)
                    }
                    let after = try connection.run(fetched.bind()).first?.integer("rows") ?? 0
                    return StatementCost(statement: statement, lines: lines, fetched: Int(after - before))
                }
            }
        }
    }
}
