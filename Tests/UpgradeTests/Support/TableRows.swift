// Every row of every table as text, and a schema by the engine's catalog.
import Storage

struct TableRows: Equatable {
    /// By table, in order.
    var columns: [String: [String]] = [:]
    /// Sorted.
    var rows: [String: [String]] = [:]

    /// Tables that a migration may extend: its record, and SQLite's numbers of new tables.
    private static let growing: Set<String> = ["schema_migrations", "sqlite_sequence"]

    /// With `earlier`, reads only the columns that both have.
    static func read(_ database: any SQLDatabase, as earlier: TableRows? = nil) async throws -> TableRows {
        let there = try await columns(of: database)
        var result = TableRows()
        result.columns = there
        for (table, columns) in earlier?.columns ?? [:] {
            result.columns[table] = there[table].map { now in columns.filter(now.contains) }
        }
        for (table, columns) in result.columns {
            let cells = columns.map { column in
                database.engine == .sqlite ? "quote(\"\(column)\")" : "quote_nullable(CAST(\"\(column)\" AS text))"
            }
            let row = cells.joined(separator: " || ', ' || ")
            let all = Statement("upgrade.rows_\(table)", .reads, [:], "SELECT \(row) AS row_text FROM \(table)")
            result.rows[table] = try await database.run(all.bind()).rows.map { try $0.text("row_text") }.sorted()
        }
        return result
    }

    private static func columns(of database: any SQLDatabase) async throws -> [String: [String]] {
        let sql =
            switch database.engine {
            // FTS5's content is in its shadow tables.
            case .sqlite:
                """
                SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master m, pragma_table_info(m.name) c
                WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%' AND m.name NOT LIKE 'sqlite_stat%'
                ORDER BY m.name, c.cid
                """
            case .postgres:
                """
                SELECT c.relname AS table_name, a.attname AS column_name
                FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
                    AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY c.relname, a.attnum
                """
            }
        var columns: [String: [String]] = [:]
        for row in try await database.run(Statement("upgrade.columns", .reads, [:], sql).bind()).rows {
            columns[try row.text("table_name"), default: []].append(try row.text("column_name"))
        }
        return columns
    }

    func differences(to later: TableRows) -> [String] {
        rows.keys.sorted().flatMap { table -> [String] in
            guard let now = later.rows[table] else { return ["\(table) is gone"] }
            let lost = columns[table, default: []].filter { !later.columns[table, default: []].contains($0) }
            if !lost.isEmpty { return lost.map { "\(table).\($0) is gone" } }
            let change = now.difference(from: rows[table, default: []])
            let removed = change.removals.map { "\(table) had: \(Self.element($0).prefix(400))" }
            let added = change.insertions.map { "\(table) has: \(Self.element($0).prefix(400))" }
            return Array(removed.prefix(3)) + (Self.growing.contains(table) ? [] : Array(added.prefix(3)))
        }
    }

    private static func element(_ change: CollectionDifference<String>.Change) -> String {
        switch change {
        case .insert(_, let element, _), .remove(_, let element, _): element
        }
    }

    var counts: [String: Int] { rows.mapValues(\.count) }
}

enum SchemaText {
    static func read(_ database: any SQLDatabase) async throws -> Set<String> {
        let queries =
            switch database.engine {
            case .sqlite: [sqlite]
            case .postgres: postgres
            }
        var lines: Set<String> = []
        for (index, sql) in queries.enumerated() {
            let statement = Statement("upgrade.schema_\(index)", .reads, [:], sql)
            for row in try await database.run(statement.bind()).rows {
                // Adding and dropping a column leaves white space.
                lines.insert(try row.text("line").filter { !$0.isWhitespace })
            }
        }
        return lines
    }

    private static let sqlite =
        "SELECT type || ' ' || name || ' ' || sql AS line FROM sqlite_master WHERE sql IS NOT NULL"

    private static let postgres = [
        """
        SELECT concat_ws(
            ' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), CAST(a.attidentity AS text), CAST(CAST(a.attcollation AS oid) AS text)
        ) AS line
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
        """,
        "SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public'",
        """
        SELECT CAST(conrelid AS regclass) || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS line
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        """,
        "SELECT pg_get_triggerdef(oid) AS line FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT pg_get_functiondef(oid) AS line FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    ]
}
