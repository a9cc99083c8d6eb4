import Foundation
import Storage
import TestSupport
import Testing

@Suite("Restore refuses")
struct RestoreRefusalTests {
    private static func prepared(_ engine: Engine) async throws -> Installation {
        let installation = try await Installation(engine, Installation.quickHashing)
        let server = try await installation.startDev()
        #expect(try await installation.auth.signUp("ada@example.com").status == 201)
        try await installation.run("backup", "--to", installation.backupPath())
        // After the backup, so that a restore would be visible.
        #expect(try await installation.auth.signUp("grace@example.com").status == 201)
        #expect(try await server.terminate() == .status(0))
        return installation
    }

    private static func everything(_ installation: Installation) async throws -> [[String: [[SQLValue]]]] {
        [
            try await installation.rows("auth", Installation.authTables),
            try await installation.rows("chat", Installation.chatTables),
        ]
    }

    @Test(
        "a backup that is cut off, changed, foreign or newer, and leaves the target alone",
        arguments: Engine.allCases
    )
    func damaged(engine: Engine) async throws {
        let installation = try await Self.prepared(engine)
        let good = installation.backupPath()
        let before = try await Self.everything(installation)
        let name = engine == .sqlite ? "auth.sqlite" : "auth.pgdump"

        func refused(_ what: String, saying words: String, _ change: (_ folder: String) throws -> Void) async throws {
            let bad = installation.backupPath("bad-\(UUID().uuidString)")
            try FileManager.default.copyItem(atPath: good, toPath: bad)
            try change(bad)
            let outcome = try await installation.outcome("restore", "--from", bad, "--yes")
            #expect(!outcome.isSuccess, "\(what) was restored")
            #expect(outcome.lastErrorLine.contains(words), "\(what): \(outcome)")
            #expect(outcome.output.isEmpty, "\(what): \(outcome)")
            #expect(try await Self.everything(installation) == before, "\(what) changed the target")
        }
        func change(_ file: String, _ body: (inout Data) -> Void) throws {
            var data = try Data(contentsOf: URL(filePath: file))
            body(&data)
            try data.write(to: URL(filePath: file))
        }
        try await refused("a cut-off file", saying: "not what was backed up") { folder in
            try change("\(folder)/\(name)") { $0 = $0.prefix($0.count * 2 / 3) }
        }
        try await refused("a changed byte", saying: "not what was backed up") { folder in
            try change("\(folder)/\(name)") { $0[$0.count / 2] ^= 1 }
        }
        try await refused("a folder without manifest", saying: "no backup of tessera") { folder in
            try FileManager.default.removeItem(atPath: "\(folder)/manifest.json")
        }
        try await refused("a missing file", saying: "cannot be read") { folder in
            try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
        // As if damaged before the manifest was written: the digest matches.
        try await refused("a cut-off file with its digest", saying: "auth: ") { folder in
            try change("\(folder)/\(name)") { $0 = $0.prefix($0.count * 2 / 3) }
            try Self.rewriteDigest(of: name, in: folder)
        }
        try await refused("another program's file", saying: "auth: ") { folder in
            try Data("not a database, but long enough to have a header".utf8).write(
                to: URL(filePath: "\(folder)/\(name)")
            )
            try Self.rewriteDigest(of: name, in: folder)
        }
        try await refused("chat's data as auth's", saying: "holds no tables of auth") { folder in
            let chat = "\(folder)/\(name.replacing("auth", with: "chat"))"
            try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
            try FileManager.default.copyItem(atPath: chat, toPath: "\(folder)/\(name)")
            try Self.rewriteDigest(of: name, in: folder)
        }
        let elsewhere = try await Installation(engine == .sqlite ? .postgres : .sqlite)
        let other = try await elsewhere.outcome("restore", "--from", good, "--yes")
        #expect(!other.isSuccess && other.lastErrorLine.contains("the backup is of"), "\(other)")
    }

    @Test("a backup of a newer schema, and to overwrite one", arguments: Engine.allCases)
    func newer(engine: Engine) async throws {
        let installation = try await Self.prepared(engine)
        let old = installation.backupPath()
        try await installation.withDatabase("auth") { database in
            let record = Statement(
                "test.record",
                .writes,
                ["at": .instant],
                """
                INSERT INTO schema_migrations (service, number, name, checksum, applied_at)
                VALUES ('auth', 9999, 'auth_9999_later', 'x', :at)
                """
            )
            _ = try await database.run(record.bind(["at": Instant(seconds: 1_800_000_000)]))
        }
        // A newer program can restore it, so taking it is allowed.
        let newer = installation.backupPath("newer")
        try await installation.run("backup", "--to", newer)
        let before = try await Self.everything(installation)
        let over = try await installation.outcome("restore", "--from", old, "--yes")
        #expect(!over.isSuccess && over.lastErrorLine.contains("auth_9999_later there is of a newer"), "\(over)")
        #expect(try await Self.everything(installation) == before)
        let empty = try await Installation(engine)
        let into = try await empty.outcome("restore", "--from", newer, "--yes")
        #expect(!into.isSuccess && into.lastErrorLine.contains("auth_9999_later is of a newer program"), "\(into)")
        let start = try await empty.outcome("auth")
        #expect(start.lastErrorLine.contains("not migrated"), "something was restored: \(start)")
    }

    @Test("a target that is in use, that is another's, and to go on without being told", arguments: Engine.allCases)
    func target(engine: Engine) async throws {
        let installation = try await Self.prepared(engine)
        let backup = installation.backupPath()
        let before = try await Self.everything(installation)
        let unasked = try await installation.outcome("restore", "--from", backup)
        #expect(!unasked.isSuccess && unasked.lastErrorLine.contains("--yes"), "\(unasked)")
        #expect(try await Self.everything(installation) == before)

        // Auth runs; chat, which would come first, must stay unchanged too.
        let server = try await installation.startAuth()
        let used = try await installation.outcome("restore", "--from", backup, "--yes")
        #expect(!used.isSuccess && used.lastErrorLine.contains("in use"), "\(used)")
        #expect(try await installation.auth.logIn("grace@example.com").status == 200)
        #expect(try await server.terminate() == .status(0))
        #expect(try await installation.rows("chat", Installation.chatTables) == before[1])

        // Chat's address where auth's should be.
        let crossed = try await installation.outcome(
            "restore",
            "--from",
            backup,
            "--service",
            "auth",
            "--yes",
            settings: ["TESSERA_AUTH_DATABASE_URL": installation.databaseURL("chat")]
        )
        // In one PostgreSQL database auth has a schema of its own, where the backup's tables do not belong.
        let reason = engine == .sqlite ? "not those of auth" : "TESSERA_AUTH_DATABASE_SCHEMA"
        #expect(!crossed.isSuccess && crossed.lastErrorLine.contains(reason), "\(crossed)")
        #expect(try await installation.rows("chat", Installation.chatTables) == before[1])

        let done = try await installation.outcome("restore", "--from", backup, "--yes")
        #expect(done.isSuccess, "\(done)")
        #expect(try await Self.everything(installation) != before)
    }

    @Test("to begin beside another restore of the same file")
    func twice() async throws {
        let installation = try await Self.prepared(.sqlite)
        let before = try await Self.everything(installation)
        let beside = installation.folder.appending(path: "data/chat.sqlite.restoring").path
        let other = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["flock", "--no-fork", beside, "sh", "-c", "echo held; exec sleep 60"],
            environment: [:],
            folder: installation.folder
        )
        try await eventually("the other holds the lock") { other.output.contains("held") }
        let outcome = try await installation.outcome("restore", "--from", installation.backupPath(), "--yes")
        #expect(!outcome.isSuccess && outcome.lastErrorLine.contains("another restore"), "\(outcome)")
        #expect(FileManager.default.fileExists(atPath: beside), "the other's file was taken away")
        #expect(try await Self.everything(installation) == before)
        other.kill()
        _ = try await other.waitForExit()
        // The lock ended with its holder, and the leftover file does no harm.
        try await installation.run("restore", "--from", installation.backupPath(), "--yes")
        #expect(!FileManager.default.fileExists(atPath: beside))
    }

    /// Writes the current digest of a file into the manifest.
    private static func rewriteDigest(of name: String, in folder: String) throws {
        let digest = Process()
        let output = Pipe()
        digest.executableURL = URL(filePath: "/usr/bin/sha256sum")
        digest.arguments = ["\(folder)/\(name)"]
        digest.standardOutput = output
        try digest.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let path = "\(folder)/manifest.json"
        var manifest = try JSONValue(parsing: String(contentsOfFile: path, encoding: .utf8))
        guard case .object(var members) = manifest, case .array(let files) = members["files"] else { return }
        members["files"] = .array(
            files.map { file in
                guard case .object(var file) = file, file["name"] == .string(name) else { return file }
                file["sha256"] = .string(String(text.prefix(64)))
                return .object(file)
            }
        )
        manifest = .object(members)
        try JSONEncoder().encode(manifest).write(to: URL(filePath: path))
    }
}
