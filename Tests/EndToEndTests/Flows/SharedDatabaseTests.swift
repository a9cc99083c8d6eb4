// Both services in one PostgreSQL database, which the program makes where it is missing.
import Foundation
import TestSupport
import Testing

@Suite("One PostgreSQL database for both services")
struct SharedDatabaseTests {
    /// A name that must be quoted.
    private static func name() -> String { "tessera-e2e \"\(UUID().uuidString.prefix(8))" }

    /// An installation whose services share a database that does not exist yet.
    private static func installation(_ name: String) async throws -> Installation {
        let server = try #require(ProcessInfo.processInfo.environment["TESSERA_TEST_POSTGRES_URL"])
        var parts = try #require(URLComponents(string: server))
        parts.path = "/" + name
        let url = try #require(parts.string)
        return try await Installation(.sqlite, Installation.quickHashing.merging(["DATABASE_URL": url]) { $1 })
    }

    private static func remove(_ name: String) async throws {
        let server = try #require(ProcessInfo.processInfo.environment["TESSERA_TEST_POSTGRES_URL"])
        let quoted = name.replacing("\"", with: "\"\"")
        let psql = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: [
                "psql", "--no-psqlrc", "--quiet", "--command", "DROP DATABASE \"\(quoted)\" WITH (FORCE)", server,
            ],
            environment: [:],
            folder: FileManager.default.temporaryDirectory
        )
        try await psql.waitForSuccess()
    }

    private func withShared(_ body: (Installation) async throws -> Void) async throws {
        let name = Self.name()
        let installation = try await Self.installation(name)
        do {
            try await body(installation)
        } catch {
            try? await Self.remove(name)
            throw error
        }
        try await Self.remove(name)
    }

    @Test("it is made with its schemas on demand alone, serves both, and is backed up and restored", .needsPostgres)
    func life() async throws {
        try await withShared { installation in
            let missing = try await installation.outcome("migrate", "up")
            #expect(!missing.isSuccess, "\(missing)")

            try await installation.run("migrate", "up", "--create-database")
            let again = try await installation.run("migrate", "up", "--create-database")
            #expect(again == "auth: nothing to do\nchat: nothing to do\n")
            #expect(try await !installation.run("migrate", "status").contains("pending"))

            let auth = try await installation.startAuth()
            let client = try await installation.makeChatClient()
            let chat = try await installation.startChat(client)
            let ada = try await installation.signUp("ada@example.com", name: "Ada")
            let made = try await installation.chat.post(
                "/v1/conversations",
                ["id": "c", "messages": [["role": "user", "content": "hello"]]],
                token: ada.token
            )
            #expect(made.status == 201, "\(made.text)")
            // Both services have leases of their jobs.
            #expect(try await chat.terminate() == .status(0))
            #expect(try await auth.terminate() == .status(0))

            let backup = installation.backupPath()
            try await installation.run("backup", "--to", backup)
            let erased = try await installation.outcome("data", "erase", ada.id)
            #expect(erased.isSuccess, "\(erased)")
            let restored = try await installation.outcome("restore", "--from", backup, "--yes")
            #expect(restored.isSuccess, "\(restored)")

            let second = try await installation.startAuth()
            let secondChat = try await installation.startChat(client)
            let token = try await installation.auth.logIn("ada@example.com")["access_token"].string
            #expect(try await installation.chat.get("/v1/conversations/c", token: token).status == 200)
            #expect(try await secondChat.terminate() == .status(0))
            #expect(try await second.terminate() == .status(0))
        }
    }

    @Test("tables in public stay where they are, and the other service gets a schema of its own", .needsPostgres)
    func existing() async throws {
        let installation = try await Installation(.postgres, Installation.quickHashing)
        try await installation.run("migrate", "up", "--service", "auth")
        let auth = try await installation.startAuth()
        _ = try await installation.auth.signUp("ada@example.com")
        #expect(try await auth.terminate() == .status(0))

        // Chat moves in beside auth. Alone it cannot know, so it refuses and names the setting.
        let url = installation.databaseURL("auth")
        let alone = try await installation.outcome(
            "migrate",
            "up",
            "--service",
            "chat",
            settings: ["TESSERA_CHAT_DATABASE_URL": url + "?application_name=chat"]
        )
        #expect(!alone.isSuccess && alone.lastErrorLine.contains("TESSERA_CHAT_DATABASE_SCHEMA"), "\(alone)")

        let shared = ["TESSERA_CHAT_DATABASE_URL": url]
        let both = try await installation.outcome("migrate", "up", settings: shared)
        #expect(both.output.hasPrefix("auth: nothing to do\nchat_0001"), "\(both)")
        let server = try installation.start("auth", settings: shared)
        try await server.waitUntilReady(port: installation.authPort)
        #expect(try await installation.auth.logIn("ada@example.com").status == 200)
        #expect(try await server.terminate() == .status(0))

        // A schema that a setting names is made on demand alone.
        let named = shared.merging(["TESSERA_CHAT_DATABASE_SCHEMA": "talk"]) { $1 }
        let refused = try await installation.outcome("migrate", "up", "--service", "chat", settings: named)
        #expect(!refused.isSuccess && refused.lastErrorLine.contains("--create-database"), "\(refused)")
        let made = try await installation.outcome(
            "migrate",
            "up",
            "--service",
            "chat",
            "--create-database",
            settings: named
        )
        #expect(made.output.hasPrefix("chat_0001"), "\(made)")
    }

    @Test("two services in one SQLite file are refused")
    func oneFile() async throws {
        let installation = try await Installation()
        let file = "sqlite:\(installation.folder.path)/one.sqlite"
        let both = ["TESSERA_AUTH_DATABASE_URL": file, "TESSERA_CHAT_DATABASE_URL": file]
        let outcome = try await installation.outcome("migrate", "up", settings: both)
        #expect(!outcome.isSuccess && outcome.lastErrorLine.contains("holds the tables of auth"), "\(outcome)")
    }
}
