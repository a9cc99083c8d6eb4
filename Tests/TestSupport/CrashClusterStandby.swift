// A synchronous standby of a `CrashCluster`: a commit on the primary is answered once the standby has it on its disk, so
// that a promotion loses nothing that was acknowledged (PostgreSQL manual, 27.2.8).
package import Foundation
internal import Glibc

/// Runs `body` with a primary and its synchronous standby, both running.
package func withReplicatedCluster<T>(
    settings: [String: String] = [:],
    _ body: (_ primary: CrashCluster, _ standby: CrashCluster) async throws -> T
) async throws -> T {
    try await withCrashCluster(settings: settings) { primary in
        let standby = try await primary.makeStandby()
        do {
            try await standby.start()
            try await primary.requireStandby()
            let value = try await body(primary, standby)
            try await standby.stop()
            return value
        } catch {
            try? await standby.stop()
            throw error
        }
    }
}

extension CrashCluster {
    /// The address of a database on whichever of two servers takes writes. The one that is not the primary comes first,
    /// so that a client must look at both.
    package func url(_ database: String, orOn other: CrashCluster) -> String {
        "postgres://tessera@127.0.0.1:\(other.port),127.0.0.1:\(port)/\(database)?target_session_attrs=read-write"
    }

    /// Makes a standby the primary, and returns once it takes writes.
    package func promote() async throws {
        let answer = try await execute("SELECT pg_promote(true, 30)")
        guard answer.hasPrefix("t") else { throw Failure(description: "the standby was not promoted: \(answer)") }
    }

    /// Copies a running server into a standby that follows it. A slot keeps the log that the standby still needs.
    fileprivate func makeStandby() async throws -> CrashCluster {
        let place = folder.appending(path: "standby")
        try await makeFolder(place)
        let standby = CrashCluster(folder: place, port: try FreePort.take(), programs: programs)
        try await Self.run(
            Self.asOwner([
                programs.appending(path: "pg_basebackup").path, "--pgdata=\(standby.data.path)",
                "--dbname=postgres://tessera@127.0.0.1:\(port)", "--checkpoint=fast", "--no-sync",
                "--write-recovery-conf", "--create-slot", "--slot=standby",
            ]),
            in: folder
        )
        // Once promoted it waits for nobody, or there would be no answer until it has a standby of its own.
        try standby.configure("port = \(standby.port)\nsynchronous_standby_names = ''\n")
        return standby
    }

    /// From here on commits wait for the standby.
    fileprivate func requireStandby() async throws {
        try await execute("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        try await eventually("the standby is synchronous") {
            try await execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'").hasPrefix("1")
        }
    }
}
