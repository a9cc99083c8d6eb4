import Foundation
import Storage
import TestSupport

extension Installation {
    static let quickHashing = [
        "TESSERA_RATE_LIMITS": "off", "TESSERA_ARGON2_MEMORY_KIB": "8", "TESSERA_ARGON2_ITERATIONS": "1",
    ]

    func backupPath(_ name: String = "backup") -> String { folder.appending(path: name).path }

    var testEngine: TestEngine { databaseURL("auth").hasPrefix("sqlite:") ? .sqlite : .postgres }

    /// Other processes may have the database open.
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

    /// In an order that both engines share.
    func rows(_ service: String, _ tables: [String]) async throws -> [String: [[SQLValue]]] {
        try await withDatabase(service) { database in
            var rows: [String: [[SQLValue]]] = [:]
            for table in tables {
                // A whole row as text on PostgreSQL: some column types have no Swift form here.
                let row = testEngine == .sqlite ? "*" : "CAST(\(table) AS TEXT) AS row_text"
                let all = Statement("test.rows_\(table)", .reads, "SELECT \(row) FROM \(table) ORDER BY 1")
                rows[table] = try await database.run(all.bind()).rows.map(\.values)
            }
            return rows
        }
    }

    static let authTables = [
        "users", "accounts", "sessions", "refresh_tokens", "signing_keys", "events", "audit_log", "settings",
    ]
    static let chatTables = ["principals", "conversations", "messages"]

    func versions() async throws -> (global: Int64, epoch: String?) {
        try await withDatabase("auth") { database in
            let settings = Statement(
                "test.settings",
                .reads,
                "SELECT key, text_value, integer_value FROM settings ORDER BY key"
            )
            var global: Int64 = 0
            var epoch: String?
            for row in try await database.run(settings.bind()).rows {
                switch try row.text("key") {
                case "global_token_version": global = try row.integer("integer_value")
                case "event_epoch": epoch = try row.text("text_value")
                default: break
                }
            }
            return (global, epoch)
        }
    }

    func newestEntries() async throws -> (event: String, action: String) {
        try await withDatabase("auth") { database in
            let event = Statement("test.event", .reads, "SELECT kind, data FROM events ORDER BY seq DESC LIMIT 1")
            let action = Statement("test.action", .reads, "SELECT action FROM audit_log ORDER BY seq DESC LIMIT 1")
            let events = try await database.run(event.bind()).rows
            return (
                try events.map { "\(try $0.text("kind")) \(try $0.text("data"))" }.joined(),
                try await database.run(action.bind()).rows.map { row throws in try row.text("action") }.joined()
            )
        }
    }

    /// Runs the binary to its end, with standard output and standard error apart. `path` replaces PATH.
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

struct CommandOutcome {
    let exit: ServerProcess.Exit
    let output: String
    let errors: String

    var isSuccess: Bool { exit == .status(0) }
    var lastErrorLine: String { errors.split(separator: "\n").last.map(String.init) ?? "" }
}
