// A PostgreSQL cluster of one test, for what a test may not do to the server that all share: configure it, cut it off,
// kill it, replace it by its standby. It listens on the loopback, in a folder that goes away with the test.
//
// The postmaster is our own child, so that a test sees it end and may signal it. PostgreSQL refuses to run as root:
// then everything of it belongs to the user `postgres`.
package import Foundation
internal import Glibc
internal import Synchronization

/// A cluster in a folder of its own; see `withPrivateCluster`.
package final class PrivateCluster: Sendable {
    /// How PostgreSQL is asked to stop (pg_ctl's modes).
    package enum Stop: Int32, Sendable {
        /// Ends sessions and writes a checkpoint.
        case fast = 2
        /// Ends as in a crash: the next start recovers from the log.
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
        // The postmaster must have gone before its folder does, or it leaves its children behind.
        if let process = server.withLock({ $0 }), process.exit == nil { _ = kill(process.identifier, SIGQUIT) }
        try? FileManager.default.removeItem(at: folder)
    }

    /// Makes an empty cluster whose only user, `tessera`, is a superuser and needs no password on the loopback.
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

    /// Adds lines to the configuration; the last one for a name counts. They take effect at the next start.
    package func configure(_ settings: [String: String]) throws {
        let lines = settings.merging(["port": "\(port)"]) { given, _ in given }.map { "\($0) = \($1)\n" }.joined()
        try append(lines, to: data.appending(path: "postgresql.conf"))
    }

    /// The address for the superuser.
    package func url(_ database: String = "postgres", host: String = "127.0.0.1") -> String {
        "postgres://tessera@\(host):\(port)/\(database)"
    }

    /// The server's process; a new one after each `start`.
    package var postmaster: ServerProcess {
        get throws {
            guard let process = server.withLock({ $0 }) else {
                throw ServerPrograms.Failure("the server was not started")
            }
            return process
        }
    }

    /// Starts the server and waits until it takes connections, which is after its recovery.
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
            // Memory that killed children had not let go of yet keeps it from starting; anything else is told.
            guard process.output.contains("shared memory") else {
                throw ServerPrograms.Failure("PostgreSQL ended: \(process.output.suffix(4000))")
            }
            return false
        }
    }

    /// Whether the server takes a connection now; a standby does too.
    package func accepts() async throws -> Bool {
        let probe = try ServerProcess(
            executable: URL(filePath: ServerPrograms.path("pg_isready")),
            arguments: ["--quiet", "--host=127.0.0.1", "--port=\(port)"],
            environment: [:],
            folder: folder
        )
        return try await probe.waitForExit() == .status(0)
    }

    /// Stops the server and waits until it and all its children are gone.
    package func stop(_ mode: Stop = .fast) async throws {
        guard let process = server.withLock({ $0 }), process.exit == nil else { return }
        // The signals that pg_ctl sends (PostgreSQL manual, "Shutting Down the Server"): SIGINT and SIGQUIT.
        _ = kill(process.identifier, mode.rawValue)
        _ = try await process.waitForExit()
    }

    /// Runs statements one by one and returns the rows, columns separated by `|`.
    @discardableResult
    package func execute(_ sql: String..., database: String = "postgres") async throws -> String {
        let commands = sql.flatMap { ["--command", $0] }
        return try await ServerPrograms.run(
            [ServerPrograms.path("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"] + commands + [url(database)],
            in: folder
        )
    }

    /// Makes a folder that belongs to the server's user.
    package func makeFolder(_ path: URL) async throws { try await run(["mkdir", path.path]) }

    /// Runs a program as the server's user.
    @discardableResult
    func run(_ command: [String]) async throws -> String {
        try await ServerPrograms.run(ServerPrograms.asServerUser(command), in: folder)
    }

    func append(_ text: String, to file: URL) throws {
        // Written into and not replaced, so that it keeps its owner.
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
    }
}

/// Runs `body` with a cluster that keeps what it acknowledged whatever happens to it, as in production.
///
/// - Parameters:
///   - wal: where its write-ahead log goes, a folder that does not exist yet; beside the data unless given.
///   - body: uses the cluster.
/// - Returns: what `body` returns.
/// - Throws: what `body` throws, or why there is no cluster.
package func withDurableCluster<T>(wal: URL? = nil, _ body: (PrivateCluster) async throws -> T) async throws -> T {
    let settings = ["fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"]
    return try await withPrivateCluster(settings: settings, wal: wal, body)
}

/// Runs `body` with a running cluster, which is stopped and removed afterwards.
///
/// - Parameters:
///   - settings: lines of its configuration, such as `["fsync": "on"]`. Text values carry their quotes.
///   - certificate: what it shows to clients; it then takes TLS connections besides.
///   - wal: where its write-ahead log goes, a folder that does not exist yet; beside the data unless given.
///   - body: uses the cluster.
/// - Returns: what `body` returns.
/// - Throws: what `body` throws, or why there is no cluster.
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
    /// Starts the server, runs `body` and stops the server, whatever happened.
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
