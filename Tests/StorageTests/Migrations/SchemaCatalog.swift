// A schema by each engine's catalog, in common terms.

import Storage

struct SchemaCatalog: Equatable {
    struct Column: Hashable {
        let name: String
        /// SQLite's name of the type.
        let type: String
        let isNullable: Bool
        let hasDefault: Bool
    }

    struct Index: Hashable {
        let columns: [String]
        let isUnique: Bool
        let isPartial: Bool
    }

    struct ForeignKey: Hashable {
        let column: String
        let parent: String
        let cascades: Bool
    }

    struct Table: Equatable {
        var columns: [Column] = []
        var indexes: Set<Index> = []
        var foreignKeys: Set<ForeignKey> = []
        var checks = 0
    }

    var tables: [String: Table] = [:]

    static func read(_ database: any SQLDatabase) async throws -> SchemaCatalog {
        switch database.engine {
        case .sqlite: try await readSQLite(database)
        case .postgres: try await readPostgres(database)
        }
    }

    private static func readSQLite(_ database: any SQLDatabase) async throws -> SchemaCatalog {
        let tables = Statement(
            "catalog.tables",
            .reads,
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        let columns = Statement(
            "catalog.columns",
            .reads,
            ["table": .text],
            #"SELECT name, type, "notnull" AS is_required, pk, dflt_value FROM pragma_table_info(:table) ORDER BY cid"#
        )
        let indexes = Statement(
            "catalog.indexes",
            .reads,
            ["table": .text],
            #"SELECT l.name AS index_name, l."unique" AS is_unique, l.partial AS is_partial, "#
                + "COALESCE(i.name, '(expression)') AS column_name "
                + "FROM pragma_index_list(:table) AS l, pragma_index_info(l.name) AS i ORDER BY l.name, i.seqno"
        )
        let keys = Statement(
            "catalog.keys",
            .reads,
            ["table": .text],
            #"SELECT "from" AS child, "table" AS parent, on_delete FROM pragma_foreign_key_list(:table)"#
        )
        var catalog = SchemaCatalog()
        for row in try await database.run(tables.bind()).rows {
            let name = try row.text("name")
            // FTS5 and its tables correspond to a GIN index on PostgreSQL.
            if name.hasPrefix("search_") { continue }
            var table = Table()
            for column in try await database.run(columns.bind(["table": name])).rows {
                let isKey = try column.int("pk") > 0
                table.columns.append(
                    Column(
                        name: try column.text("name"),
                        type: try column.text("type"),
                        isNullable: try !isKey && !column.boolean("is_required"),
                        hasDefault: try column.optionalText("dflt_value") != nil
                    )
                )
                // The row id is a key without an index.
                if isKey, try column.text("type") == "INTEGER", try row.text("sql").contains("AUTOINCREMENT") {
                    table.indexes.insert(Index(columns: [try column.text("name")], isUnique: true, isPartial: false))
                }
            }
            table.indexes.formUnion(try indexSet(await database.run(indexes.bind(["table": name])).rows))
            for key in try await database.run(keys.bind(["table": name])).rows {
                table.foreignKeys.insert(
                    ForeignKey(
                        column: try key.text("child"),
                        parent: try key.text("parent"),
                        cascades: try key.text("on_delete") == "CASCADE"
                    )
                )
            }
            table.checks = try row.text("sql").ranges(of: "CHECK (").count
            catalog.tables[name] = table
        }
        return catalog
    }

    private static func readPostgres(_ database: any SQLDatabase) async throws -> SchemaCatalog {
        let own = "c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        let columns = Statement(
            "catalog.columns",
            .reads,
            "SELECT c.relname AS table_name, a.attname AS name, format_type(a.atttypid, NULL) AS type, "
                + "a.attnotnull AS is_required, a.atthasdef AS has_default "
                + "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                + "WHERE \(own) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
        )
        let indexes = Statement(
            "catalog.indexes",
            .reads,
            "SELECT c.relname AS table_name, i.relname AS index_name, x.indisunique AS is_unique, "
                + "x.indpred IS NOT NULL AS is_partial, COALESCE(a.attname, '(expression)') AS column_name "
                + "FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid "
                + "CROSS JOIN generate_series(0, x.indnkeyatts - 1) AS k "
                + "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[k] WHERE \(own) "
                // A GIN index corresponds to FTS5 on SQLite.
                + "AND i.relam <> (SELECT oid FROM pg_am WHERE amname = 'gin') ORDER BY i.relname, k"
        )
        let constraints = Statement(
            "catalog.constraints",
            .reads,
            "SELECT c.relname AS table_name, x.contype AS kind, p.relname AS parent, a.attname AS child, "
                + "x.confdeltype = 'c' AS cascades FROM pg_constraint x JOIN pg_class c ON c.oid = x.conrelid "
                + "LEFT JOIN pg_class p ON p.oid = x.confrelid "
                + "LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.conkey[1] WHERE \(own)"
        )
        var catalog = SchemaCatalog()
        for row in try await database.run(columns.bind()).rows {
            catalog.tables[try row.text("table_name"), default: Table()].columns.append(
                Column(
                    name: try row.text("name"),
                    type: sqliteType(try row.text("type")),
                    isNullable: try !row.boolean("is_required"),
                    hasDefault: try row.boolean("has_default")
                )
            )
        }
        let rows = try await database.run(indexes.bind()).rows
        for (name, rows) in Dictionary(grouping: rows, by: { (try? $0.text("table_name")) ?? "" }) {
            catalog.tables[name]?.indexes = try indexSet(rows)
        }
        for row in try await database.run(constraints.bind()).rows {
            let name = try row.text("table_name")
            switch try row.text("kind") {
            case "c": catalog.tables[name]?.checks += 1
            case "f":
                let key = ForeignKey(
                    column: try row.text("child"),
                    parent: try row.text("parent"),
                    cascades: try row.boolean("cascades")
                )
                catalog.tables[name]?.foreignKeys.insert(key)
            default: break
            }
        }
        return catalog
    }

    private static func sqliteType(_ type: String) -> String {
        switch type {
        case "text", "tsvector": "TEXT"
        case "bytea": "BLOB"
        case "bigint", "boolean", "timestamp with time zone": "INTEGER"
        default: type
        }
    }

    private static func indexSet(_ rows: [Row]) throws -> Set<Index> {
        let groups = Dictionary(grouping: rows) { (try? $0.text("index_name")) ?? "" }
        return Set(
            try groups.values.map { rows in
                Index(
                    columns: try rows.map { try $0.text("column_name") },
                    isUnique: try rows[0].boolean("is_unique"),
                    isPartial: try rows[0].boolean("is_partial")
                )
            }
        )
    }
}
