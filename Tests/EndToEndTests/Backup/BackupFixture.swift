// What the tests of backup and restore share: rows as they stand in a database, a folder for the backup, and the binary
// run so that what goes to standard output and to standard error can be told apart.
import Foundation
import Storage
import TestSupport

extension Installation {
    /// What makes hashing cheap: these tests are not about it.
    static let quickHashing = [
        "TESSERA_RATE_LIMITS": "off", "TESSERA_ARGON2_MEMORY_KIB": "8", "TESSERA_ARGON2_ITERATIONS": "1",
    ]

    /// A folder beside the data that does not exist yet.
    func backupPath(_ name: String = "backup") -> String { folder.appending(path: name).path }

    var testEngine: TestEngine { databaseURL("auth").hasPrefix("sqlite:") ? .sqlite : .postgres }

    /// Runs `body` with the database of a service, opened beside whoever else has it open, and closes it.
    func withDatabase<T>(_ service: String, _ body: (any SQLDatabase) async throws -> T) async throws -> T {
        let database = try await testEngine.open(databaseURL(service))
        do {
            let value = try await body(database)
            await database.close()
            return value
        } catch {
            await database.close()
            throw error
        }
    }

    /// Every row of tables, in an order that both engines agree on.
    func rows(_ service: String, _ tables: [String]) async throws -> [String: [[SQLValue]]] {
        try await withDatabase(service) { database in
            var rows: [String: [[SQLValue]]] = [:]
            for table in tables {
                // A whole row as text, on PostgreSQL: not every type of a column has one here.
                let row = testEngine == .sqlite ? "*" : "CAST(\(table) AS TEXT) AS row_text"
                let all = Statement("test.rows_\(table)", .reads, [], "SELECT \(row) FROM \(table) ORDER BY 1")
                rows[table] = try await database.run(all()).rows.map(\.values)
            }
            return rows
        }
    }

    static let authTables = [
        "users", "accounts", "sessions", "refresh_tokens", "signing_keys", "events", "audit_log", "settings",
    ]
    static let chatTables = ["principals", "conversations", "messages"]

    /// The global token version and the event epoch.
    func versions() async throws -> (global: Int64, epoch: String?) {
        try await withDatabase("auth") { database in
            let settings = Statement(
                "test.settings",
                .reads,
                [],
                "SELECT key, text_value, integer_value FROM settings ORDER BY key"
            )
            var global: Int64 = 0
            var epoch: String?
            for row in try await database.run(settings()).rows {
                switch try row.text("key") {
                case "global_token_version": global = try row.integer("integer_value")
                case "event_epoch": epoch = try row.text("text_value")
                default: break
                }
            }
            return (global, epoch)
        }
    }

    /// The newest event, its kind and its data together, and the newest action in the audit log.
    func newestEntries() async throws -> (event: String, action: String) {
        try await withDatabase("auth") { database in
            let event = Statement("test.event", .reads, [], "SELECT kind, data FROM events ORDER BY seq DESC LIMIT 1")
            let action = Statement("test.action", .reads, [], "SELECT action FROM audit_log ORDER BY seq DESC LIMIT 1")
            let events = try await database.run(event()).rows
            return (
                try events.map { "\(try $0.text("kind")) \(try $0.text("data"))" }.joined(),
                try await database.run(action()).rows.map { row throws in try row.text("action") }.joined()
            )
        }
    }

    /// Runs the binary to its end. `path` replaces PATH.
    func outcome(_ arguments: String..., settings: [String: String] = [:]) async throws -> CommandOutcome {
        let name = UUID().uuidString
        let shell = try ServerProcess(
            executable: URL(filePath: "/bin/bash"),
            arguments: ["-c", #""$0" "${@:2}" >"$1.out" 2>"$1.err""#, Self.binary.path, name] + arguments,
            environment: environment.merging(settings) { _, given in given },
            folder: folder
        )
        let exit = try await shell.waitForExit()
        func text(_ suffix: String) throws -> String {
            try String(contentsOf: folder.appending(path: "\(name).\(suffix)"), encoding: .utf8)
        }
        return CommandOutcome(exit: exit, output: try text("out"), errors: try text("err"))
    }
}

/// How a command ended, and what it said where.
struct CommandOutcome {
    let exit: ServerProcess.Exit
    let output: String
    let errors: String

    var isSuccess: Bool { exit == .status(0) }
    /// The one line that says why the command failed.
    var complaint: String { errors.split(separator: "\n").last.map(String.init) ?? "" }
}
