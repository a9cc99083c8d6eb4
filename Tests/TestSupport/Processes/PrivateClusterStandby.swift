// A streaming-replication pair: a second cluster copies the first and follows it.
internal import Foundation
internal import Glibc

extension PrivateCluster {
    /// Runs `body` with a standby that already follows this running cluster.
    ///
    /// - Parameters:
    ///   - synchronous: whether this cluster acknowledges only commits that the standby has on disk.
    ///   - body: uses the standby.
    /// - Returns: the result of `body`.
    /// - Throws: errors of `body`, or why there is no standby.
    package func withStandby<T>(
        synchronous: Bool = false,
        _ body: (_ standby: PrivateCluster) async throws -> T
    ) async throws -> T {
        let standby = try PrivateCluster(folder: try await ServerPrograms.makeFolder("tessera-standby"))
        try await standby.run([
            ServerPrograms.path("pg_basebackup"), "--pgdata=\(standby.data.path)", "--checkpoint=fast", "--no-sync",
            "--wal-method=stream", "--dbname=\(url())?application_name=standby",
            "--write-recovery-conf",
        ])
        // Copied from the primary: a promoted standby must not wait for a standby of its own.
        try standby.configure(["port": "\(standby.port)", "synchronous_standby_names": "''"])
        return try await standby.whileRunning {
            if synchronous {
                try await execute(
                    "ALTER SYSTEM SET synchronous_standby_names = 'standby'",
                    "SELECT pg_reload_conf()"
                )
            }
            let state = synchronous ? "sync" : "async"
            try await eventually("the standby follows") {
                try await execute("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'").contains(
                    state
                )
            }
            return try await body(standby)
        }
    }

    /// The address of a database on the server that takes writes. The other one comes first, so that a client must try
    /// both.
    package func url(_ database: String, orOn other: PrivateCluster) -> String {
        "postgres://tessera@127.0.0.1:\(other.port),127.0.0.1:\(port)/\(database)?target_session_attrs=read-write"
    }

    /// Runs `body` while this standby is silent: its primary gets no acknowledgement.
    package func whileSilent(_ body: () async throws -> Void) async throws {
        let answer = try await execute("SELECT pid FROM pg_stat_wal_receiver")
        guard let receiver = pid_t(answer.trimmingCharacters(in: .newlines)), kill(receiver, SIGSTOP) == 0 else {
            throw ServerPrograms.Failure("no receiver to stop: \(answer)")
        }
        defer { _ = kill(receiver, SIGCONT) }
        try await body()
    }

    /// Returns when the standby is a primary.
    package func promote() async throws {
        try await run([ServerPrograms.path("pg_ctl"), "--pgdata=\(data.path)", "--wait", "--silent", "promote"])
        try await eventually("the standby is a primary") {
            try await execute("SELECT pg_is_in_recovery()").hasPrefix("f")
        }
    }
}
