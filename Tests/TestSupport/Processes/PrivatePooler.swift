import Foundation

/// pgbouncer in front of a private cluster; it ends with the last reference.
package final class PrivatePooler: Sendable {
    private let folder: URL
    private let port: Int
    private let process: ServerProcess

    /// Returns when pgbouncer serves.
    ///
    /// - Parameters:
    ///   - cluster: its target.
    ///   - settings: of its section `[pgbouncer]`, such as `["pool_mode": "session"]`.
    /// - Throws: why it does not run.
    package init(to cluster: PrivateCluster, settings: [String: String]) async throws {
        folder = try await ServerPrograms.makeFolder("tessera-pooler")
        port = try FreePort.take()
        let users = folder.appending(path: "users.txt")
        try Data("\"tessera\" \"\"\n".utf8).write(to: users)
        let base = [
            "listen_addr": "127.0.0.1", "listen_port": "\(port)", "unix_socket_dir": "", "auth_type": "trust",
            "auth_file": users.path, "max_client_conn": "100", "default_pool_size": "20",
        ]
        let lines = base.merging(settings) { _, given in given }.map { "\($0) = \($1)\n" }.joined()
        let file = folder.appending(path: "pgbouncer.ini")
        try Data("[databases]\n* = host=127.0.0.1 port=\(cluster.port)\n[pgbouncer]\n\(lines)".utf8).write(to: file)
        process = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ServerPrograms.asServerUser([ServerPrograms.path("pgbouncer"), file.path]),
            environment: [:],
            folder: folder
        )
        try await eventually("pgbouncer listens") {
            guard process.exit == nil else { throw ServerPrograms.Failure("pgbouncer ended: \(process.output)") }
            return (try? RawConnection(port: port)) != nil
        }
    }

    deinit {
        process.kill()
        try? FileManager.default.removeItem(at: folder)
    }

    package func url(_ database: String = "postgres") -> String {
        "postgres://tessera@127.0.0.1:\(port)/\(database)"
    }

    /// Other clients use the pool, for up to half a minute or until the returned process is released.
    package func startOtherClients() throws -> ServerProcess {
        let script = folder.appending(path: "others.sql")
        try Data("SELECT count(*) FROM pg_class;\n".utf8).write(to: script)
        return try ServerProcess(
            executable: URL(filePath: ServerPrograms.path("pgbench")),
            arguments: ["--no-vacuum", "--client=3", "--time=300", "--file=\(script.path)", url()],
            environment: [:],
            folder: folder
        )
    }
}
