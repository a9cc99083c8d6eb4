// How PostgreSQL's programs are called, and how their failures are reported.
import Foundation
import TestSupport
import Testing

@Suite("PostgreSQL's programs")
struct PostgresToolTests {
    @Test("are given a password by their environment, never by an argument, and nothing of our own secrets")
    func password() async throws {
        let installation = try await Installation()
        let log = installation.folder.appending(path: "called").path
        try Self.writeProgram(
            "pg_dump",
            "{ echo \"arguments: $*\"; echo \"database: $PGHOST $PGPORT $PGUSER $PGDATABASE $PGSSLMODE\"; "
                + "echo \"password: $PGPASSWORD\"; env | grep -c '^TESSERA_\\|^POSTGRES_'; } >\(log); "
                + "echo 'pg_dump: error: no thanks' >&2; exit 1",
            in: installation
        )
        let outcome = try await installation.outcome(
            "backup",
            "--service",
            "auth",
            "--to",
            installation.backupPath(),
            settings: [
                "PATH": "\(installation.folder.path)/bin:/usr/bin:/bin",
                "TESSERA_AUTH_DATABASE_URL":
                    "postgres://someone:s%40cret%2F1@db.example.com:6432/tessera?sslmode=verify-full&keepalives_idle=5",
            ]
        )
        let called = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(!called[0].contains("s@cret") && !called[0].contains("s%40cret"), "\(called)")
        #expect(called[1] == "database: db.example.com 6432 someone tessera verify-full")
        #expect(called[2] == "password: s@cret/1")
        #expect(called[3] == "0", "settings of ours were handed on")
        #expect(outcome.exit == .status(1))
        #expect(outcome.errors == "tessera: auth: pg_dump: no thanks\n")
        #expect(!outcome.errors.contains("s@cret") && !outcome.output.contains("s@cret"))
    }

    @Test(
        "verify a server that is not on this machine as the service itself does, unless the URL says otherwise",
        arguments: [
            ("db.example.com/tessera", "verify-full /etc/ssl/certs/ca-certificates.crt"),
            ("db.example.com/tessera?sslmode=require", "require"),
            ("db-1.example.com,db-2.example.com/tessera", "verify-full /etc/ssl/certs/ca-certificates.crt read-write"),
            ("127.0.0.1:1/tessera", ""),
        ]
    )
    func verification(place: String, told: String) async throws {
        let installation = try await Installation()
        let log = installation.folder.appending(path: "called").path
        try Self.writeProgram(
            "pg_dump",
            "echo $PGSSLMODE $PGSSLROOTCERT $PGTARGETSESSIONATTRS >\(log); exit 1",
            in: installation
        )
        _ = try await installation.outcome(
            "backup",
            "--service",
            "auth",
            "--to",
            installation.backupPath(),
            settings: [
                "PATH": "\(installation.folder.path)/bin:/usr/bin:/bin",
                "TESSERA_AUTH_DATABASE_URL": "postgres://someone:secret@\(place)",
            ]
        )
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "\(told)\n")
    }

    @Test("are asked for when they are missing")
    func missing() async throws {
        let installation = try await Installation(.postgres)
        try await installation.run("migrate", "up")
        let outcome = try await installation.outcome(
            "backup",
            "--to",
            installation.backupPath(),
            settings: ["PATH": installation.folder.path]
        )
        #expect(outcome.exit == .status(1))
        #expect(outcome.errors.hasPrefix("tessera: auth: pg_dump is not installed"), "\(outcome)")
        #expect(!FileManager.default.fileExists(atPath: installation.backupPath()))
    }

    @Test("that end half-way make no backup and no restore")
    func halfWay() async throws {
        let installation = try await Installation(.postgres, Installation.quickHashing)
        let server = try await installation.startAuth()
        let grant = try await installation.auth.signUp("ada@example.com")
        try await installation.run("backup", "--service", "auth", "--to", installation.backupPath())
        #expect(try await server.terminate() == .status(0))
        let before = try await installation.rows("auth", Installation.authTables)
        let path = ["PATH": "\(installation.folder.path)/bin:/usr/bin:/bin"]

        // Exit status 0 after half of the script would commit half of the data if psql's end of input decided.
        try Self.writeProgram(
            "pg_restore",
            "case \"$*\" in *--clean*) /usr/bin/pg_restore \"$@\" | head -c 3000; kill -9 $$;; *) exec /usr/bin/pg_restore \"$@\";; esac",
            in: installation
        )
        let restore = try await installation.outcome(
            "restore",
            "--service",
            "auth",
            "--from",
            installation.backupPath(),
            "--yes",
            settings: path
        )
        #expect(restore.exit == .status(1), "\(restore)")
        #expect(restore.lastErrorLine.contains("pg_restore"), "\(restore)")
        #expect(try await installation.rows("auth", Installation.authTables) == before)

        try Self.writeProgram("pg_dump", "/usr/bin/pg_dump \"$@\"; kill -9 $$", in: installation)
        let backup = try await installation.outcome(
            "backup",
            "--service",
            "auth",
            "--to",
            installation.backupPath("second"),
            settings: path
        )
        #expect(backup.exit == .status(1), "\(backup)")
        let names = try FileManager.default.contentsOfDirectory(atPath: installation.folder.path)
        #expect(names.filter { $0.hasPrefix("second") } == [])
        let again = try await installation.startAuth()
        #expect(try await installation.auth.get("/v1/me", token: grant["access_token"].string).status == 200)
        #expect(try await again.terminate() == .status(0))
    }

    private static func writeProgram(_ name: String, _ script: String, in installation: Installation) throws {
        let folder = installation.folder.appending(path: "bin")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appending(path: name)
        try Data("#!/bin/bash\n\(script)\n".utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
    }
}
