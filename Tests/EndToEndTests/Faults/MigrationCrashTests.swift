// The real binary is killed during a migration, and four processes migrate one database at once. Afterwards every
// migration ran once or not at all.
import Foundation
import TestSupport
import Testing

@Suite("migrating, interrupted")
struct MigrationCrashTests {
    @Test("on PostgreSQL: killed in the middle, it leaves nothing of the migration, and the next run applies it once")
    func killedOnPostgres() async throws {
        let installation = try await Installation(.postgres)
        let query = { (sql: String) in try await Self.query(sql, installation) }
        try await installation.run("migrate", "up", "--service", "auth", "--to", "1")
        let before = try await query(Self.relations)

        // A writer of `users` blocks the build of its index, the migration's last step.
        let holder = try Self.psql(
            ["BEGIN", "LOCK TABLE users IN ROW EXCLUSIVE MODE", "SELECT pg_sleep(120)"],
            installation
        )
        try await eventually("the table is held") {
            try await query("SELECT count(*) FROM pg_stat_activity WHERE \(Self.here) AND wait_event = 'PgSleep'")
                == "1"
        }
        let migrating = try installation.start("migrate", "up", "--service", "auth", "--to", "2")
        try await eventually("the migration is in the middle") {
            // It waits for `users` and has finished `sessions`.
            try await query(
                """
                SELECT count(*) FROM pg_locks w JOIN pg_locks h USING (pid)
                WHERE NOT w.granted AND w.relation = 'users'::regclass AND w.database = h.database
                    AND h.granted AND h.relation = 'sessions'::regclass AND h.mode = 'AccessExclusiveLock'
                """
            ) == "1"
        }
        migrating.kill()
        #expect(try await migrating.waitForExit() == .signal(9))

        // The server continues the dead process's statements without a commit. Until then its session has the migration
        // lock, for which the next process waits.
        let next = try installation.start("migrate", "up", "--service", "auth", "--to", "2")
        try await eventually("the next process waits for the lock") {
            try await query(
                """
                SELECT count(*) FROM pg_stat_activity
                WHERE \(Self.here) AND state = 'idle' AND query LIKE 'SELECT pg_try_advisory_lock%'
                """
            ) == "1"
        }
        #expect(try await query(Self.relations) == before)
        // Killing psql does not end its session while the server sleeps for it.
        _ = try await query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \(Self.here) AND wait_event = 'PgSleep'"
        )
        let output = try await next.waitForSuccess()
        #expect(output.contains("auth_0002") && !output.contains("auth_0001"), "\(output)")
        #expect(
            try await query("SELECT string_agg(CAST(number AS text), ' ' ORDER BY number) FROM schema_migrations")
                == "1 2"
        )
        _ = try await holder.waitForExit()
        try await expectWhole(installation, query, Self.relations)
    }

    @Test("on SQLite: killed in the middle, it leaves nothing of the migration, and the next run applies it once")
    func killedOnSQLite() async throws {
        let installation = try await Installation(.sqlite)
        let query = { (sql: String) in
            try await Self.sqlite("print(db.execute(\"\(sql)\").fetchone()[0])", installation)
        }
        try await installation.run("migrate", "up", "--service", "auth", "--to", "1")
        // Enough rows that their new indexes exceed SQLite's cache and spill into the log long before the commit.
        try await Self.sqlite(
            """
            db.execute("INSERT INTO users (id, created_at, updated_at) VALUES ('u', 0, 0)")
            db.execute('''
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
                INSERT INTO sessions (id, user_id, auth_time, created_at, updated_at, last_seen_at, expires_at,
                    absolute_expires_at, required_version, global_version)
                SELECT printf('0199-0000-0000-0000-%020d', i), 'u', i, i, i, i, i, i, 1, 1 FROM n
            ''')
            """,
            installation
        )
        let relations = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_master ORDER BY name)"
        let before = try await query(relations)

        let log = installation.folder.appending(path: "data/auth.sqlite-wal").path
        let applied = "SELECT group_concat(number, ' ') FROM schema_migrations"
        var wasInTheMiddle = false
        // The middle is short: a kill that comes too late is repeated.
        for _ in 0..<10 where !wasInTheMiddle {
            let migrating = try installation.start("migrate", "up", "--service", "auth", "--to", "2")
            let hasBegun = await Self.outgrows(256 << 10, log) { migrating.exit == nil }
            migrating.kill()
            _ = try await migrating.waitForExit()
            if try await query(applied) == "1" {
                wasInTheMiddle = hasBegun
            } else {
                try await installation.run("migrate", "down", "--service", "auth", "--steps", "1", "--yes")
            }
            #expect(try await query(relations) == before)
            #expect(try await query("PRAGMA integrity_check") == "ok")
        }
        #expect(wasInTheMiddle)

        let output = try await installation.run("migrate", "up", "--service", "auth", "--to", "2")
        #expect(output.contains("auth_0002") && !output.contains("auth_0001"), "\(output)")
        #expect(try await query(applied) == "1 2")
        #expect(try await query("SELECT COUNT(*) FROM sessions") == "150000")
        #expect(try await query("PRAGMA integrity_check") == "ok")
        try await expectWhole(installation, query, relations)
    }

    @Test(
        "of four processes that migrate an empty database at once each migration runs once",
        arguments: Engine.allCases
    )
    func atOnce(engine: Engine) async throws {
        let installation = try await Installation(engine)
        let processes = try (0..<4).map { _ in try installation.start("migrate", "up", "--service", "auth") }
        var applied: [String] = []
        for process in processes {
            let lines = try await process.waitForSuccess().split(separator: "\n")
            applied += lines.filter { $0.hasSuffix(" applied") }.map(String.init)
        }
        let status = try await installation.run("migrate", "status", "--service", "auth").split(separator: "\n")
        #expect(status.count >= 2 && status.allSatisfy { $0.contains("  applied ") }, "\(status)")
        #expect(applied.sorted() == status.map { "\($0.prefix { $0 != " " }) applied" }.sorted())
    }

    /// The schema is that of an undisturbed run: it migrates all the way down, up again, and is the same.
    private func expectWhole(
        _ installation: Installation,
        _ query: (String) async throws -> String,
        _ relations: String
    ) async throws {
        let made = try await query(relations)
        try await installation.run("migrate", "down", "--service", "auth", "--steps", "2", "--yes")
        #expect(try await query(relations) != made)
        try await installation.run("migrate", "up", "--service", "auth", "--to", "2")
        #expect(try await query(relations) == made)
        let server = try await installation.startAuth()
        #expect(try await installation.auth.signUp("ada@example.com").status == 201)
        #expect(try await server.terminate() == .status(0))
    }

    private static let here = "datname = current_database() AND pid <> pg_backend_pid()"

    private static let relations = """
        SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
        """

    private static func query(_ sql: String, _ installation: Installation) async throws -> String {
        try await psql([sql], installation).waitForSuccess().trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func psql(_ commands: [String], _ installation: Installation) throws -> ServerProcess {
        try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["psql", "-X", "-q", "-A", "-t"] + commands.flatMap { ["-c", $0] }
                + [installation.databaseURL("auth")],
            environment: [:],
            folder: installation.folder
        )
    }

    @discardableResult
    private static func sqlite(_ body: String, _ installation: Installation) async throws -> String {
        let path = installation.folder.appending(path: "data/auth.sqlite").path
        return try await ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: [
                "python3", "-c", "import sqlite3\ndb = sqlite3.connect('\(path)')\n\(body)\ndb.commit()\ndb.close()",
            ],
            environment: [:],
            folder: installation.folder
        ).waitForSuccess().trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Polls more often than `eventually`, because the moment is short.
    private static func outgrows(_ size: Int, _ path: String, while isOn: () -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline, isOn() {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            if (attributes?[.size] as? NSNumber)?.intValue ?? 0 > size { return true }
            await Task.yield()
        }
        return false
    }
}
