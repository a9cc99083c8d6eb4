// The command sequences of docs/production.md, run as they stand there.
import Foundation
import TestSupport
import Testing

@Suite("The page of first steps in production")
struct ProductionPageTests {
    /// The shell blocks below a heading.
    private static func blocks(_ heading: String) throws -> [String] {
        let page = try String(
            contentsOf: Installation.repository.appending(path: "docs/production.md"),
            encoding: .utf8
        )
        let section = try #require(page.components(separatedBy: "\n## \(heading)\n").dropFirst().first, "\(heading)")
        let own = section.components(separatedBy: "\n## ")[0]
        return own.components(separatedBy: "```sh\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    }

    private static func run(_ block: String, _ installation: Installation, _ settings: [String: String]) async throws
        -> String
    {
        let bin = installation.folder.appending(path: "bin")
        try FileManager.default.createDirectory(at: bin, withIntermediateDirectories: true)
        let link = bin.appending(path: "tessera")
        if !FileManager.default.fileExists(atPath: link.path) {
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: Installation.binary)
        }
        let path = ["PATH": "\(bin.path):\(ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")"]
        let shell = try ServerProcess(
            executable: URL(filePath: "/bin/bash"),
            arguments: ["-euo", "pipefail", "-c", block],
            environment: installation.environment.merging(settings) { $1 }.merging(path) { $1 },
            folder: installation.folder
        )
        return try await shell.waitForSuccess()
    }

    private static let admin = ["ADMIN_EMAIL": "root@example.com", "ADMIN_PASSWORD": Client.password]

    @Test("the first admin and chat's client are made by the commands alone")
    func firstSteps() async throws {
        let installation = try await Installation(.sqlite, Installation.quickHashing)
        let first = try #require(try Self.blocks("The first admin").first)
        let listed = try await Self.run(first, installation, Self.admin)
        #expect(listed.contains("root@example.com  admin  active"), "\(listed)")
        let client = try #require(try Self.blocks("Chat's client at auth").first)
        let file = installation.folder.appending(path: "secret").path
        for _ in 1...2 { _ = try await Self.run(client, installation, ["SECRET_FILE": file]) }

        let auth = try await installation.startAuth()
        let token = try await installation.auth.logIn("root@example.com")["access_token"].string
        #expect(try await installation.auth.get("/v1/admin/users", token: token).status == 200)
        let chat = try await installation.startChat([
            "TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET_FILE": file,
        ])
        #expect(try await chat.terminate() == .status(0))
        #expect(try await auth.terminate() == .status(0))
    }

    @Test("nodes change to another database user one by one, and the old one is locked out", .needsPostgres)
    func anotherUser() async throws {
        let server = try #require(ProcessInfo.processInfo.environment["TESSERA_TEST_POSTGRES_URL"])
        let suffix = UUID().uuidString.prefix(8).lowercased()
        let (old, new, name) = ("old_\(suffix)", "new-\(suffix)", "tessera_e2e_\(suffix)")
        func url(_ user: String) throws -> String {
            var parts = try #require(URLComponents(string: server))
            (parts.user, parts.password, parts.path) = (user, "secret", "/\(name)")
            return try #require(parts.string)
        }
        let installation = try await Installation(
            .sqlite,
            Installation.quickHashing.merging(["TESSERA_AUTH_DATABASE_URL": try url(old)]) { $1 }
        )
        let roles = [
            "OPERATOR_URL": server, "OLD_ROLE": old, "NEW_ROLE": new, "NEW_PASSWORD": "secret",
        ]
        func query(_ sql: String) async throws -> String {
            let block = "psql \"$OPERATOR_URL\" --no-psqlrc --quiet --tuples-only --no-align <<<\"$SQL\""
            let answer = try await Self.run(block, installation, roles.merging(["SQL": sql]) { $1 })
            return answer.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        _ = try await query("CREATE ROLE \(old) LOGIN PASSWORD 'secret'")
        _ = try await query("CREATE DATABASE \(name) OWNER \(old)")

        _ = try await Self.run(try #require(try Self.blocks("The first admin").first), installation, Self.admin)
        let blocks = try Self.blocks("Another database user, without a pause")
        try #require(blocks.count == 2)
        let first = try await installation.startAuth()
        _ = try await Self.run(blocks[0], installation, roles)
        // A node of the old role is still there.
        let early = try await Self.run(blocks[1] + "\n", installation, roles)
        #expect(early.contains("still in use"), "\(early)")

        let port = try FreePort.take()
        let changed = [
            "TESSERA_AUTH_DATABASE_URL": try url(new), "TESSERA_AUTH_PORT": "\(port)",
            "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
        ]
        let second = try await installation.startAuth(settings: changed)
        let client = Client(base: "http://127.0.0.1:\(port)")
        #expect(try await client.logIn("root@example.com").status == 200)
        #expect(try await first.terminate() == .status(0))
        try await eventually("the sessions of the old role are gone") {
            try await query("SELECT count(*) FROM pg_stat_activity WHERE usename = '\(old)'") == "0"
        }
        _ = try await Self.run(blocks[1], installation, roles)
        #expect(try await query("SELECT rolcanlogin FROM pg_roles WHERE rolname = '\(old)'") == "f")
        #expect(try await client.signUp("ada@example.com").status == 201)
        #expect(try await second.terminate() == .status(0))

        // The new role migrates as the owner of all there is.
        let down = try await installation.outcome("migrate", "down", "--service", "auth", "--yes", settings: changed)
        #expect(down.isSuccess, "\(down)")
        let up = try await installation.outcome("migrate", "up", "--service", "auth", settings: changed)
        #expect(up.isSuccess, "\(up)")
        _ = try await query("DROP DATABASE \(name) WITH (FORCE)")
        _ = try await query("DROP ROLE \"\(new)\"")
        _ = try await query("DROP ROLE \(old)")
    }
}
