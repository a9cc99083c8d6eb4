// A PostgreSQL server to kill: its own cluster, with `fsync=on` as in production, whose postmaster is our child, so that
// a test sees it end and may signal it and its children.
package import Foundation
internal import Glibc
internal import Synchronization

/// A cluster of one test; see `withCrashCluster`.
package final class CrashCluster: Sendable {
    package let folder: URL
    let data: URL
    let programs: URL
    package let port: Int
    private let server = Mutex<ServerProcess?>(nil)

    /// A cluster whose data is still to be made.
    init(folder: URL, port: Int, programs: URL) {
        self.folder = folder
        self.port = port
        self.programs = programs
        data = folder.appending(path: "data")
    }

    fileprivate convenience init(in folder: URL, wal: URL?, settings: [String: String]) async throws {
        self.init(folder: folder, port: try FreePort.take(), programs: try Self.findPrograms())
        if geteuid() == 0 { try await Self.run(["chown", "postgres", folder.path], in: folder) }
        var initdb = [
            programs.appending(path: "initdb").path, "--pgdata=\(data.path)", "--username=tessera", "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync",
        ]
        if let wal { initdb.append("--waldir=\(wal.path)") }
        try await Self.run(Self.asOwner(initdb), in: folder)
        let fixed = [
            "listen_addresses": "'127.0.0.1'", "unix_socket_directories": "''", "port": "\(port)", "fsync": "on",
            "full_page_writes": "on", "synchronous_commit": "on", "max_connections": "60", "shared_buffers": "'16MB'",
            "lc_messages": "'C.UTF-8'",
        ]
        let lines = fixed.merging(settings) { _, given in given }.map { "\($0) = \($1)\n" }.joined()
        try configure(lines)
    }

    /// Adds lines to the configuration; the last one for a setting counts.
    func configure(_ lines: String) throws {
        let file = data.appending(path: "postgresql.conf")
        try (String(contentsOf: file, encoding: .utf8) + lines).write(to: file, atomically: false, encoding: .utf8)
    }

    /// The address of a database for a superuser.
    package func url(_ database: String) -> String { "postgres://tessera@127.0.0.1:\(port)/\(database)" }

    /// The server's process; a new one after each `start`.
    package var postmaster: ServerProcess {
        get throws {
            guard let process = server.withLock({ $0 }) else {
                throw Failure(description: "the server was not started")
            }
            return process
        }
    }

    /// Starts the server and waits until it accepts connections, which is after its recovery.
    package func start() async throws {
        try await eventually("PostgreSQL starts") {
            let process = try ServerProcess(
                executable: URL(filePath: "/usr/bin/env"),
                arguments: Self.asOwner([programs.appending(path: "postgres").path, "-D", data.path]),
                environment: ["LC_ALL": "C.UTF-8"],
                folder: folder
            )
            server.withLock { $0 = process }
            while process.exit == nil {
                if try await accepts() { return true }
                try await Task.sleep(for: .milliseconds(10))
            }
            // Memory that killed children had not let go of yet keeps it from starting; anything else will end the
            // wait with the server's own words.
            guard process.output.contains("shared memory") else {
                throw Failure(description: "PostgreSQL ended: \(process.output)")
            }
            return false
        }
    }

    /// Whether the server takes a connection now.
    package func accepts() async throws -> Bool {
        let probe = try ServerProcess(
            executable: programs.appending(path: "pg_isready"),
            arguments: ["--quiet", "--host=127.0.0.1", "--port=\(port)"],
            environment: [:],
            folder: folder
        )
        return try await probe.waitForExit() == .status(0)
    }

    /// Runs statements, each in its own transaction.
    @discardableResult
    package func execute(_ sql: String..., database: String = "postgres") async throws -> String {
        let commands = sql.flatMap { ["--command", $0] }
        return try await Self.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"] + commands + [url(database)], in: folder)
    }

    /// Makes a folder that belongs to the server's user.
    package func makeFolder(_ path: URL) async throws {
        try await Self.run(Self.asOwner(["mkdir", path.path]), in: folder)
    }

    /// Ends the server as an immediate shutdown does.
    package func stop() async throws {
        guard let process = server.withLock({ $0 }), process.exit == nil else { return }
        // Immediate shutdown: all its children end before it does.
        kill(process.identifier, SIGQUIT)
        _ = try await process.waitForExit()
    }

    // MARK: - Programs

    /// PostgreSQL refuses to run as root. `setpriv` becomes the program, so the process we start is the server.
    static func asOwner(_ command: [String]) -> [String] {
        guard geteuid() == 0 else { return command }
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] + command
    }

    @discardableResult
    static func run(_ command: [String], in folder: URL) async throws -> String {
        try await ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: command,
            environment: ["LC_ALL": "C.UTF-8"],
            folder: folder
        ).waitForSuccess()
    }

    /// Debian keeps the server's programs off `PATH`, in a folder for each version.
    private static func findPrograms() throws -> URL {
        let root = URL(filePath: "/usr/lib/postgresql")
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root.path))?.compactMap { Int($0) } ?? []
        let folders = (versions.contains(15) ? [15] : versions.sorted(by: >)).map {
            root.appending(path: "\($0)/bin")
        }
        guard let folder = folders.first else {
            throw Failure(description: "no PostgreSQL server found: install postgresql (15 or later)")
        }
        return folder
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}

/// Runs `body` with a running cluster, which is stopped and removed afterwards.
///
/// - Parameters:
///   - wal: where its write-ahead log goes, a folder that does not exist yet; beside the data unless given.
///   - settings: further lines of its configuration.
package func withCrashCluster<T>(
    wal: URL? = nil,
    settings: [String: String] = [:],
    _ body: (CrashCluster) async throws -> T
) async throws -> T {
    let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-cluster-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let cluster = try await CrashCluster(in: folder, wal: wal, settings: settings)
    do {
        try await cluster.start()
        let value = try await body(cluster)
        try await cluster.stop()
        return value
    } catch {
        try? await cluster.stop()
        throw error
    }
}
