// What tests of the event feed need: a service's token, streams, and a first writer in another process whose
// transaction stays open.
import Foundation
import Storage
import TestSupport
import Testing

extension Installation {
    /// Bypasses the service.
    func withAuthDatabase<T>(_ body: (any SQLDatabase) async throws -> T) async throws -> T {
        let url = databaseURL("auth")
        let database = try await (url.hasPrefix("sqlite:") ? TestEngine.sqlite : .postgres).open(url)
        do {
            let value = try await body(database)
            await database.close()
            return value
        } catch {
            await database.close()
            throw error
        }
    }

    /// A token with scope `events`; the node must have started once.
    func serviceToken() async throws -> String {
        try await withAuthDatabase { database in
            try await ServiceToken.mint(
                database,
                ring: environment["TESSERA_MASTER_KEY"] ?? "",
                issuer: environment["TESSERA_PUBLIC_URL"] ?? ""
            )
        }
    }

    func follow(_ query: String = "", after lastID: String? = nil, reads: Bool = true) async throws
        -> EventStreamReader
    {
        try EventStreamReader(
            port: authPort,
            path: "/v1/events\(query)",
            token: try await serviceToken(),
            lastEventID: lastID,
            reads: reads
        )
    }

    func makeAdmin() async throws -> String {
        let email = "root@example.com"
        try await run(
            "users",
            "create",
            "--email",
            email,
            "--role",
            "admin",
            "--password-stdin",
            input: Client.password
        )
        return try #require(try await auth.logIn(email)["access_token"].string)
    }

    /// The users of the events, as a reader of the table sees them now.
    func eventUsers() async throws -> [String?] {
        let statement = Statement("tests.event_users", .reads, "SELECT user_id FROM events ORDER BY seq")
        return try await withAuthDatabase {
            try await $0.run(statement.bind()).rows.map { try $0.optionalText("user_id") }
        }
    }

    /// In one transaction, each with `padding` bytes of data.
    func makeEvents(_ count: Int, padding: Int) async throws {
        let log = OrderedLog(lockKey: 0x7E55_E7A0_0001, channel: "tessera_events")
        let insert = Statement(
            "tests.make_events",
            .appends(log),
            ["at": .instant, "data": .text, "count": .integer],
            """
            INSERT INTO events (at, kind, data)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
            SELECT :at, 'user.updated', :data FROM numbers
            """
        )
        let now = Instant(seconds: Int64(Date.now.timeIntervalSince1970))
        let data = #"{"padding":"\#(String(repeating: "x", count: padding))"}"#
        _ = try await withAuthDatabase {
            try await $0.run(insert.bind(["at": now, "data": data, "count": Int64(count)]))
        }
    }
}

/// The first of two writers, in a process of its own, inside its transaction: it has its number, and has not committed.
///
/// On PostgreSQL it is the real command, whose batch a trigger stops behind the insert. SQLite has no statement that
/// waits, so there it is another program with the same library.
final class HeldWriter: Sendable {
    private let engine: Engine
    private let installation: Installation
    private let process: ServerProcess

    private init(_ engine: Engine, _ installation: Installation, _ process: ServerProcess) {
        self.engine = engine
        self.installation = installation
        self.process = process
    }

    /// Returns when the open transaction contains its event.
    static func start(_ engine: Engine, _ installation: Installation, user: String) async throws -> HeldWriter {
        let process: ServerProcess
        switch engine {
        case .postgres:
            try await installation.withAuthDatabase { database in
                try await database.withMigrationLock { try $0.execute(script: Self.trigger(user)) }
            }
            process = try installation.start("users", "revoke-sessions", user)
            try await eventually("the first writer stands in its batch") {
                if let exit = process.exit { throw Ended(exit: exit, output: process.output) }
                return try await installation.count("wait_event = 'PgSleep'") == 1
            }
        case .sqlite:
            let script = installation.folder.appending(path: "held_writer.py")
            try Self.python.write(to: script, atomically: true, encoding: .utf8)
            process = try ServerProcess(
                executable: URL(filePath: "/usr/bin/env"),
                arguments: [
                    "python3", script.path, String(installation.databaseURL("auth").dropFirst("sqlite:".count)), user,
                    installation.folder.appending(path: "released").path,
                ],
                environment: [:],
                folder: installation.folder
            )
            try await eventually("the first writer has its number") {
                if let exit = process.exit { throw Ended(exit: exit, output: process.output) }
                return process.output.contains("held")
            }
        }
        return HeldWriter(engine, installation, process)
    }

    /// Returns when a second writer waits for the first. SQLite's waits inside its library, which is not visible.
    func untilAnotherWaits() async throws {
        guard engine == .postgres else { return }
        try await eventually("the second writer waits for the log's lock") {
            try await installation.count("wait_event_type = 'Lock' AND wait_event = 'advisory'") > 0
        }
    }

    func release() async throws {
        switch engine {
        case .postgres:
            let open = Statement("tests.open", .writes, "INSERT INTO open_gates VALUES (1)")
            _ = try await installation.withAuthDatabase { try await $0.run(open.bind()) }
        case .sqlite:
            try Data().write(to: installation.folder.appending(path: "released"))
        }
        try await process.waitForSuccess()
    }

    private static func trigger(_ user: String) -> String {
        """
        CREATE TABLE open_gates (gate integer);
        CREATE FUNCTION wait_for_gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            WHILE NOT EXISTS (SELECT FROM open_gates) LOOP PERFORM pg_sleep(0.005); END LOOP;
            RETURN NULL;
        END $$;
        CREATE TRIGGER held AFTER INSERT ON events FOR EACH ROW WHEN (NEW.user_id = '\(user)')
            EXECUTE FUNCTION wait_for_gate();
        """
    }

    private static let python = """
        import os, sqlite3, sys, time

        path, user, released = sys.argv[1:]
        connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO events (at, kind, user_id, data) VALUES (?, 'user.tokens_revoked', ?, '{}')",
            (int(time.time() * 1e6), user),
        )
        print("held", flush=True)
        while not os.path.exists(released):
            time.sleep(0.005)
        connection.execute("COMMIT")
        """

    private struct Ended: Error {
        let exit: ServerProcess.Exit
        let output: String
    }
}

extension Installation {
    fileprivate func count(_ condition: String) async throws -> Int {
        let statement = Statement(
            "tests.sessions",
            .reads,
            "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND \(condition)"
        )
        return try await withAuthDatabase { try await $0.run(statement.bind()).first?.int("n") ?? 0 }
    }
}
