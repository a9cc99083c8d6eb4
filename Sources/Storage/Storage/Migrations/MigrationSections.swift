// Makes the script that one engine executes from the text of a migration file.

/// One direction of a migration.
package struct MigrationSection: Sendable, Hashable {
    /// The SQL with placeholders.
    package let sql: String
    /// False where PostgreSQL must run the section outside a transaction (`CREATE INDEX CONCURRENTLY`). Such a section
    /// holds exactly one statement. SQLite runs every section in a transaction.
    package let usesTransaction: Bool

    package init(sql: String, usesTransaction: Bool) {
        self.sql = sql
        self.usesTransaction = usesTransaction
    }

    /// Whether it drops a table or a column, or deletes rows. A copy of a table under another name, which takes its
    /// place, is dropped empty; it counts all the same.
    package var dropsRows: Bool {
        sql.contains(/\bDROP (?:TABLE|COLUMN)\b|\bDELETE FROM\b|\bTRUNCATE\b/.ignoresCase())
    }

    /// The script for an engine, with every placeholder replaced.
    ///
    /// - Throws: `StorageError.schema` for an unknown placeholder.
    package func script(for engine: SQLEngine) throws(StorageError) -> String {
        var script = ""
        var rest = sql[...]
        while let open = rest.firstRange(of: "{{") {
            guard let close = rest[open.upperBound...].firstRange(of: "}}") else {
                throw .schema(reason: "a placeholder is not closed")
            }
            let name = String(rest[open.upperBound..<close.lowerBound])
            guard let placeholder = Placeholder(rawValue: name) else {
                throw .schema(reason: "{{\(name)}} is not a placeholder")
            }
            script += rest[..<open.lowerBound]
            script += placeholder.text(for: engine)
            rest = rest[close.upperBound...]
        }
        return script + rest
    }
}

/// What the engines spell differently.
private enum Placeholder: String {
    case text, integer, boolean, instant, bytes, sequence, table, concurrently
    case hotTable = "hot_table"

    func text(for engine: SQLEngine) -> String {
        switch (self, engine) {
        // Bytewise order, as in SQLite: keyset pages and prefix ranges must not depend on a locale.
        case (.text, .postgres): "TEXT COLLATE \"C\""
        case (.text, .sqlite): "TEXT"
        case (.integer, .postgres): "bigint"
        case (.integer, .sqlite): "INTEGER"
        case (.boolean, .postgres): "boolean"
        case (.boolean, .sqlite): "INTEGER"
        case (.instant, .postgres): "timestamptz"
        case (.instant, .sqlite): "INTEGER"
        case (.bytes, .postgres): "bytea"
        case (.bytes, .sqlite): "BLOB"
        case (.sequence, .postgres): "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        // AUTOINCREMENT never gives a number twice, not even after the newest row was deleted.
        case (.sequence, .sqlite): "INTEGER PRIMARY KEY AUTOINCREMENT"
        case (.table, .postgres): ""
        case (.table, .sqlite), (.hotTable, .sqlite): " STRICT"
        // Leaves room in each page for new versions of updated rows, so that no index changes with them.
        case (.hotTable, .postgres): " WITH (fillfactor=70)"
        // Beside writes, in a section of its own without a transaction.
        case (.concurrently, .postgres): "CONCURRENTLY"
        case (.concurrently, .sqlite): ""
        }
    }
}

extension Migration {
    package enum Direction: String, Sendable {
        case up, down
    }

    /// The section of one direction.
    ///
    /// - Throws: `StorageError.schema` for a section that is missing or repeated, and for an unknown option.
    package func section(_ direction: Direction) throws(StorageError) -> MigrationSection {
        var found: (lines: [Substring], usesTransaction: Bool)?
        var isInside = false
        for line in source.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("-- migrate:") else {
                if isInside { found?.lines.append(line) }
                continue
            }
            let words = line.dropFirst("-- migrate:".count).split(separator: " ")
            guard let header = words.first.flatMap({ Direction(rawValue: String($0)) }) else {
                throw .schema(reason: "\(name): \(line) is not a section")
            }
            guard words.dropFirst().allSatisfy({ $0 == "transaction:false" }) else {
                throw .schema(reason: "\(name): \(line) has an unknown option")
            }
            isInside = header == direction
            guard isInside else { continue }
            guard found == nil else { throw .schema(reason: "\(name) has \(line) twice") }
            found = ([], words.count == 1)
        }
        guard let found else { throw .schema(reason: "\(name) has no section \(direction.rawValue)") }
        return MigrationSection(sql: found.lines.joined(separator: "\n"), usesTransaction: found.usesTransaction)
    }
}
