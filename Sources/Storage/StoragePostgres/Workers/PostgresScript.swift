// Transactions as a script for psql, for a restore, whose own statements commit together with those of a dump.
//
// Each statement is prepared with its declared types and executed with literals, so its text is the one that every
// other path runs.

package import Storage

package enum PostgresScript {
    /// The statements of a transaction, without BEGIN and COMMIT. The locks of ordered logs come first, as in a batch.
    package static func text(of transaction: [BoundStatement]) throws(StorageError) -> String {
        var logs: [OrderedLog] = []
        for case .appends(let log) in transaction.map(\.statement.effect) where !logs.contains(log) { logs.append(log) }
        var script = ""
        for log in logs.sorted(by: { $0.lockKey < $1.lockKey }) {
            script += "SELECT pg_advisory_xact_lock(\(log.lockKey));\n"
        }
        for (index, bound) in transaction.enumerated() {
            try bound.validateForPostgres()
            let name = "tessera_unit_\(index + 1)"
            let types = bound.statement.parameters.map(typeName).joined(separator: ", ")
            let values = bound.values.map(literal).joined(separator: ", ")
            script += "PREPARE \(name)\(types.isEmpty ? "" : " (\(types))") AS\n\(bound.statement.sql);\n"
            script += "EXECUTE \(name)\(values.isEmpty ? "" : " (\(values))");\n"
        }
        for log in logs { script += "SELECT pg_notify('\(log.channel)', '');\n" }
        return script
    }

    /// Unqualified names are looked up in this schema, and in the server's own catalogue.
    package static func setSearchPath(_ schema: String) -> String { "SET search_path = \(identifier(schema)); " }

    /// Makes a schema that is missing; one that is there needs no right to make it.
    package static func makeSchema(_ schema: String) -> String {
        """
        DO $tessera$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = \(literal(.text(schema)))) THEN
                CREATE SCHEMA \(identifier(schema));
            END IF;
        END
        $tessera$;

        """
    }

    /// SECURITY: a name in double quotes, with those inside doubled, so that it cannot end its quotes
    /// (PostgreSQL manual, "Identifiers and Key Words").
    package static func identifier(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }

    /// Waits for the migration lock and holds it to the end of the transaction.
    package static let takeMigrationLock = "SELECT pg_advisory_xact_lock(\(PostgresDatabase.migrationLock));\n"

    /// Fails while another session is connected to the database. One that has just closed takes a moment to vanish.
    package static let requireUnused = """
        DO $tessera$
        DECLARE
            others text;
        BEGIN
            FOR attempt IN 1..20 LOOP
                PERFORM pg_stat_clear_snapshot();
                -- Background workers of the server itself have no user.
                SELECT string_agg(DISTINCT coalesce(nullif(application_name, ''), 'unnamed'), ', ') INTO others
                FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL;
                IF others IS NULL THEN RETURN; END IF;
                PERFORM pg_sleep(0.1);
            END LOOP;
            RAISE EXCEPTION 'the database is in use (connected: %)', others;
        END
        $tessera$;

        """

    /// Whether the schema holds anything at all.
    package static let anyTable = Statement(
        "backup.any_table_postgres",
        .reads,
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'v', 'm') LIMIT 1
        """
    )

    package static func typeName(_ type: SQLType) -> String {
        switch type {
        case .boolean: "boolean"
        case .integer: "bigint"
        case .text: "text"
        case .bytes: "bytea"
        case .instant: "timestamptz"
        case .words: "tsvector"
        }
    }

    package static func literal(_ value: SQLValue) -> String {
        switch value {
        case .null: "NULL"
        case .boolean(let value): value ? "TRUE" : "FALSE"
        case .integer(let value): "\(value)"
        // SECURITY: E'' with both escapes, so that it means the same whatever standard_conforming_strings is.
        case .text(let text): "E'\(text.replacing("\\", with: "\\\\").replacing("'", with: "''"))'"
        case .bytes(let bytes): "decode('\(bytes.map(hex).joined())', 'hex')"
        case .instant(let instant): "'\(instant.rfc3339)'"
        // None of our lexemes holds a quote.
        case .words(let words):
            "'\(words.positions.map { lexeme($0.key, $0.value) }.joined(separator: " "))'"
        }
    }

    private static func lexeme(_ word: ArraySlice<UInt8>, _ positions: [UInt16]) -> String {
        "\(String(decoding: word, as: UTF8.self)):\(positions.map(String.init).joined(separator: ","))"
    }

    private static func hex(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.utf8.count == 1 ? "0" + digits : digits
    }
}
