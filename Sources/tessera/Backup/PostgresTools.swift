// Runs pg_dump, pg_restore and psql. They match the server's version and know its catalogues.
import Foundation
import Storage
import StoragePostgres
import Synchronization

/// Programs that find their database in their environment.
struct PostgresTools: Sendable {
    private let environment: [String: String]
    private let schema: String?

    /// - Parameters:
    ///   - url: a libpq URI.
    ///   - schema: the one that is dumped, and that scripts begin in; `nil` for the whole database.
    ///   - name: what the server shows of these programs.
    /// - Throws: `StorageError` when libpq cannot read the URI.
    init(url: String, schema: String?, as name: String) throws {
        self.schema = schema
        var environment = try PostgresClientEnvironment.variables(of: url)
        environment["PGAPPNAME"] = name
        environment["PGCLIENTENCODING"] = "UTF8"
        // The timeouts of requests do not suit a dump.
        environment["PGCONNECT_TIMEOUT"] = environment["PGCONNECT_TIMEOUT"] ?? "10"
        self.environment = environment
    }

    /// Dumps the schema, in one snapshot, into an existing file. `progress` receives the bytes written and the
    /// current table.
    func dump(to path: String, progress: @escaping @Sendable (_ bytes: Int, _ table: String) -> Void) async throws {
        let watch = DumpWatch(path: path)
        try await OwnThread.run("pg_dump") {
            let program = try ChildProcess(
                "pg_dump",
                [
                    "--format=custom", "--file=\(path)", "--verbose", "--no-password", "--no-owner", "--no-privileges",
                    "--no-tablespaces", "--no-publications", "--no-subscriptions", "--no-blobs",
                    // A pattern, in which quotes keep a name as it is.
                ] + (schema.map { ["--schema=\(PostgresScript.identifier($0))"] } ?? []),
                environment: environment,
                onLine: { line in
                    if let match = line.firstMatch(of: /dumping contents of table "(.+)"/) {
                        watch.began(table: String(match.1))
                    }
                }
            )
            OwnThread.start("pg_dump-progress") { watch.report(to: progress) }
            defer { watch.end() }
            try program.finish()
        }
    }

    /// Runs a script in psql that stops at the first error. The script ends with its own COMMIT, sent only after every
    /// other piece. So a psql that is cut off commits nothing.
    ///
    /// - Parameter pieces: calls its argument with each piece of the script in order.
    /// - Throws: `StartFailure` with psql's first error, or errors of `pieces`.
    func run(_ pieces: @escaping @Sendable (_ send: (Data) throws -> Void) throws -> Void) async throws {
        try await OwnThread.run("psql") {
            let psql = try ChildProcess(
                "psql",
                ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"],
                environment: environment,
                input: true
            )
            do {
                if let schema { try psql.write(Data("\(PostgresScript.setSearchPath(schema))\n".utf8)) }
                try pieces { try psql.write($0) }
            } catch let error as StartFailure {
                psql.stop()
                throw error
            } catch {
                // psql stops reading when the server refuses something: its own message has the reason.
                try psql.finish()
                throw error
            }
            try psql.finish()
        }
    }
}

/// Watches the file's size, because pg_dump only reports where each table begins.
private final class DumpWatch: Sendable {
    private let path: String
    private let state = Mutex((table: "", isOver: false))

    init(path: String) { self.path = path }

    func began(table: String) { state.withLock { $0.table = table } }
    func end() { state.withLock { $0.isOver = true } }

    func report(to progress: (_ bytes: Int, _ table: String) -> Void) {
        while true {
            let (table, isOver) = state.withLock { $0 }
            if isOver { return }
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            if !table.isEmpty { progress((attributes?[.size] as? NSNumber)?.intValue ?? 0, table) }
            Thread.sleep(forTimeInterval: 0.1)
        }
    }
}

/// A file in pg_dump's custom format.
struct PostgresArchive: Sendable {
    let path: String

    func check() async throws {
        try await OwnThread.run("pg_restore") {
            try ChildProcess("pg_restore", ["--file=/dev/null", path]).finish()
        }
    }

    /// The rows of its table `schema_migrations`, and the schema that this is in. Throws if the file is no archive.
    func migrations() async throws -> (records: [MigrationRecord], schema: String) {
        try await OwnThread.run("pg_restore") {
            let program = try ChildProcess(
                "pg_restore",
                ["--data-only", "--table=schema_migrations", "--file=-", path],
                output: true
            )
            var script = Data()
            while let piece = program.read() { script += piece }
            try program.finish()
            let text = String(decoding: script, as: UTF8.self)
            return (Self.migrations(inScript: text), Self.schema(inScript: text))
        }
    }

    /// Sends what the archive holds of a schema as a script, and fails unless all of it was readable.
    func script(of schema: String, to send: (Data) throws -> Void, progress: @Sendable (_ bytes: Int) -> Void) throws {
        let program = try ChildProcess(
            "pg_restore",
            [
                "--clean", "--if-exists", "--exit-on-error", "--no-owner", "--no-privileges", "--schema=\(schema)",
                "--file=-", path,
            ],
            output: true
        )
        var bytes = 0
        do {
            while let piece = program.read() {
                try send(piece)
                bytes += piece.count
                progress(bytes)
            }
        } catch {
            program.stop()
            throw error
        }
        try program.finish()
    }

    /// From `COPY schema.schema_migrations (…)`; `public` for a table that was never filled.
    static func schema(inScript script: String) -> String {
        for line in script.split(separator: "\n") {
            guard line.hasPrefix("COPY "), let end = line.range(of: ".schema_migrations (") else { continue }
            let name = String(line[..<end.lowerBound].dropFirst("COPY ".count))
            guard name.hasPrefix("\""), name.hasSuffix("\""), name.count > 1 else { return name }
            return String(name.dropFirst().dropLast()).replacing("\"\"", with: "\"")
        }
        return "public"
    }

    /// Reads the rows between `COPY … (service, number, …) FROM stdin;` and `\.`; their texts need no unescaping.
    static func migrations(inScript script: String) -> [MigrationRecord] {
        var columns: [Substring] = []
        var records: [MigrationRecord] = []
        for line in script.split(separator: "\n") {
            if let match = line.firstMatch(of: /^COPY .*schema_migrations \((.+)\) FROM stdin;$/) {
                columns = match.1.split(separator: ",").map { $0.drop { $0 == " " } }
            } else if line == "\\." {
                columns = []
            } else if !columns.isEmpty {
                let row = Dictionary(zip(columns, line.split(separator: "\t")), uniquingKeysWith: { first, _ in first })
                guard let service = row["service"], let number = row["number"].flatMap({ Int($0) }),
                    let name = row["name"], let checksum = row["checksum"]
                else { continue }
                records.append(
                    MigrationRecord(
                        service: String(service),
                        number: number,
                        name: String(name),
                        checksum: String(checksum)
                    )
                )
            }
        }
        return records.sorted { $0.number < $1.number }
    }
}
