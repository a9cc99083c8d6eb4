// A PostgreSQL cluster of one test, which may configure, cut off, kill or replace it. It listens on the loopback, in a
// folder that is removed with the test.
//
// The postmaster is our child, so a test sees its end and may signal it. PostgreSQL refuses to run as root, so its
// files and processes belong to the user `postgres` then.
package import Foundation
internal import Glibc
internal import Synchronization

package final class PrivateCluster: Sendable {
    /// pg_ctl's modes.
    package enum Stop: Int32, Sendable {
        /// Ends sessions and writes a checkpoint.
        case fast = 2
        /// As in a crash: the next start recovers from the log.
        case immediate = 3
    }

    /// Removed with the cluster; belongs to the server's user.
    package let folder: URL
    package let port: Int
    let data: URL
    private let server = Mutex<ServerProcess?>(nil)

    init(folder: URL) throws {
        self.folder = folder
        data = folder.appending(path: "data")
        port = try FreePort.take()
    }

    deinit {
        // The postmaster must end before its folder is removed, or it leaves its children behind.
        if let process = server.withLock({ $0 }), process.exit == nil { _ = kill(process.identifier, SIGQUIT) }
        try? FileManager.default.removeItem(at: folder)
    }

    /// An empty cluster whose only user, `tessera`, is a superuser without a password on the loopback.
    static func create(settings: [String: String], wal: URL? = nil) async throws -> PrivateCluster {
        let cluster = try PrivateCluster(folder: try await ServerPrograms.makeFolder("tessera-cluster"))
        var initdb = [
            ServerPrograms.path("initdb"), "--pgdata=\(cluster.data.path)", "--username=tessera", "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync",
        ]
        if let wal { initdb.append("--waldir=\(wal.path)") }
        try await cluster.run(initdb)
        let base = [
            "listen_addresses": "'127.0.0.1,::1'", "unix_socket_directories": "''", "fsync": "off",
            "max_connections": "60", "shared_buffers": "'16MB'", "lc_messages": "'C.UTF-8'",
        ]
        try cluster.configure(base.merging(settings) { _, given in given })
        return cluster
    }

    /// Adds lines to the configuration for the next start; the last one for a name counts.
    package func configure(_ settings: [String: String]) throws {
        let lines = settings.merging(["port": "\(port)"]) { given, _ in given }.map { "\($0) = \($1)\n" }.joined()
        try append(lines, to: data.appending(path: "postgresql.conf"))
    }

    package func url(_ database: String = "postgres", host: String = "127.0.0.1") -> String {
        "postgres://tessera@\(host):\(port)/\(database)"
    }

    /// A new process after each `start`.
    package var postmaster: ServerProcess {
        get throws {
            guard let process = server.withLock({ $0 }) else {
                throw ServerPrograms.Failure("the server was not started")
            }
            return process
        }
    }

    /// Returns when the server takes connections, which is after its recovery.
    package func start() async throws {
        try await eventually("PostgreSQL starts") {
            let process = try ServerProcess(
                executable: URL(filePath: "/usr/bin/env"),
                arguments: ServerPrograms.asServerUser([ServerPrograms.path("postgres"), "-D", data.path]),
                environment: ["LC_ALL": "C.UTF-8"],
                folder: folder
            )
            server.withLock { $0 = process }
            while process.exit == nil {
                if try await accepts() { return true }
                try await Task.sleep(for: .milliseconds(10))
            }
            // Memory of killed children may keep it from starting; any other reason is reported.
            guard process.output.contains("shared memory") else {
                throw ServerPrograms.Failure("PostgreSQL ended: \(process.output.suffix(4000))")
            }
            return false
        }
    }

    /// Also true for a standby.
    package func accepts() async throws -> Bool {
        let probe = try ServerProcess(
            executable: URL(filePath: ServerPrograms.path("pg_isready")),
            arguments: ["--quiet", "--host=127.0.0.1", "--port=\(port)"],
            environment: [:],
            folder: folder
        )
        return try await probe.waitForExit() == .status(0)
    }

    /// Returns when the server and all its children are gone.
    package func stop(_ mode: Stop = .fast) async throws {
        guard let process = server.withLock({ $0 }), process.exit == nil else { return }
        // pg_ctl's signals (PostgreSQL manual, "Shutting Down the Server"): SIGINT and SIGQUIT.
        _ = kill(process.identifier, mode.rawValue)
        _ = try await process.waitForExit()
    }

    /// Returns the rows, with columns separated by `|`.
    @discardableResult
    package func execute(_ sql: String..., database: String = "postgres") async throws -> String {
        let commands = sql.flatMap { ["--command", $0] }
        return try await ServerPrograms.run(
            [ServerPrograms.path("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"] + commands + [url(database)],
            in: folder
        )
    }

    package func makeFolder(_ path: URL) async throws { try await run(["mkdir", path.path]) }

    @discardableResult
    func run(_ command: [String]) async throws -> String {
        try await ServerPrograms.run(ServerPrograms.asServerUser(command), in: folder)
    }

    func append(_ text: String, to file: URL) throws {
        // Written in place, so that the file keeps its owner.
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
    }
}

/// Runs `body` with a durable cluster, configured as in production.
///
/// - Parameters:
///   - wal: a folder for its write-ahead log that does not exist yet; beside the data by default.
///   - body: uses the cluster.
/// - Returns: the result of `body`.
/// - Throws: errors of `body`, or why there is no cluster.
package func withDurableCluster<T>(wal: URL? = nil, _ body: (PrivateCluster) async throws -> T) async throws -> T {
    let settings = ["fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"]
    return try await withPrivateCluster(settings: settings, wal: wal, body)
}

/// Runs `body` with a running cluster, which is stopped and removed afterwards.
///
/// - Parameters:
///   - settings: lines of its configuration, such as `["fsync": "on"]`. Text values carry their quotes.
///   - certificate: enables TLS connections as well.
///   - wal: a folder for its write-ahead log that does not exist yet; beside the data by default.
///   - body: uses the cluster.
/// - Returns: the result of `body`.
/// - Throws: errors of `body`, or why there is no cluster.
package func withPrivateCluster<T>(
    settings: [String: String] = [:],
    certificate: TestCertificate? = nil,
    wal: URL? = nil,
    _ body: (PrivateCluster) async throws -> T
) async throws -> T {
    let time = TestTimes()
    defer { time.end() }
    let cluster = try await PrivateCluster.create(settings: settings, wal: wal)
    if let certificate { try await cluster.install(certificate) }
    return try await cluster.whileRunning { try await body(cluster) }
}

extension PrivateCluster {
    func whileRunning<T>(_ body: () async throws -> T) async throws -> T {
        do {
            try await start()
            let value = try await body()
            try await stop(.immediate)
            return value
        } catch {
            try? await stop(.immediate)
            throw error
        }
    }
}
