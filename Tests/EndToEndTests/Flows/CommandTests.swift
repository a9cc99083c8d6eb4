import Foundation
import TestSupport
import Testing

@Suite("Commands")
struct CommandTests {
    @Test("version and help say what they are, and a wrong command is refused")
    func versionAndHelp() async throws {
        let installation = try await Installation()
        let version = try await installation.run("version")
        #expect(version.wholeMatch(of: /tessera \d+\.\d+\.\d+ \(commit unknown\)\n/) != nil, "\(version)")
        #expect(try await installation.run("--version") == version)
        let help = try await installation.run("--help")
        for command in [
            "dev", "auth", "chat", "migrate", "keys", "cleanup", "users", "clients", "seed", "backup", "restore",
            "data", "search", "settings", "version",
        ] {
            #expect(help.contains("\n  \(command) "), "\(command)")
        }
        let lines = help.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count <= 24 && lines.allSatisfy { $0.count <= 80 }, "a screen: \(help)")
        for same in [["-h"], ["help"]] {
            #expect(try await installation.start(same, settings: [:], input: "").waitForSuccess() == help)
        }
        // As in a container without a command: the same, and EX_USAGE.
        let bare = try installation.start([], settings: [:], input: "")
        #expect(try await bare.waitForExit() == .status(64))
        #expect(bare.output == help)
        #expect(try await installation.run("settings").contains("\nTESSERA_LOG_LEVEL\n"))
        let wrong = try installation.start("authenticate")
        #expect(try await wrong.waitForExit() != .status(0))
    }

    @Test("migrate goes up, says where it stands, and goes down again", arguments: Engine.allCases)
    func migrate(engine: Engine) async throws {
        let installation = try await Installation(engine)
        for service in ["auth", "chat"] {
            let before = try await installation.run("migrate", "status", "--service", service)
            #expect(before.contains("\(service)_0001_init") && before.contains("pending"), "\(before)")
            try await installation.run("migrate", "up", "--service", service)
            try await installation.run("migrate", "up", "--service", service)
            let after = try await installation.run("migrate", "status", "--service", service)
            #expect(after.contains("applied") && !after.contains("pending"), "\(after)")
            try await installation.run("migrate", "down", "--service", service, "--yes")
            let down = try await installation.run("migrate", "status", "--service", service)
            #expect(down.contains("pending"), "\(down)")
        }
    }

    @Test("migrate down of several steps, or of one that drops rows, takes --yes; of one that drops none it does not")
    func migrateDownAsks() async throws {
        let installation = try await Installation()
        let status = { try await installation.run("migrate", "status", "--service", "auth") }
        // 3 makes the table of clients, 2 makes indexes.
        try await installation.run("migrate", "up", "--service", "auth", "--to", "3")
        let before = try await status()
        for steps in ["1", "2"] {
            let asked = try await installation.outcome("migrate", "down", "--service", "auth", "--steps", steps)
            #expect(!asked.isSuccess && asked.lastErrorLine.contains("--yes"), "\(asked)")
            #expect(asked.lastErrorLine.contains("auth_0003_clients, which drops rows"), "\(asked)")
        }
        let none = try await installation.outcome("migrate", "down", "--service", "auth", "--steps", "0", "--yes")
        #expect(!none.isSuccess)
        #expect(try await status() == before)
        try await installation.run("migrate", "down", "--service", "auth", "--yes")
        let output = try await installation.run("migrate", "down", "--service", "auth")
        #expect(output == "auth_0002_list_and_cleanup_indexes taken back\n")
    }

    @Test("users are created, listed, promoted, deactivated, and lose their sessions", arguments: Engine.allCases)
    func users(engine: Engine) async throws {
        let installation = try await Installation(engine)
        try await installation.run("migrate", "up", "--service", "auth")
        let email = "grace@example.com"
        try await installation.run("users", "create", "--email", email, "--password-stdin", input: Client.password)
        let server = try await installation.startAuth()
        let login = try await installation.auth.logIn(email)
        #expect(login.status == 200)
        #expect(login["user"]["role"].string == "user")

        try await installation.run("users", "set-role", email, "admin")
        let list = try await installation.run("users", "list")
        #expect(list.contains(email) && list.contains("admin"), "\(list)")
        #expect(!list.contains("argon2"), "a hash was printed")
        // Tokens with the old role are refused; the session is valid and refreshes to the new role.
        #expect(try await installation.auth.get("/v1/me", token: login["access_token"].string).status == 401)
        let again = try await installation.auth.logIn(email)
        #expect(again["user"]["role"].string == "admin")

        try await installation.run("users", "revoke-sessions", email)
        #expect(try await installation.auth.get("/v1/me", token: again["access_token"].string).status == 401)
        let refresh = try await installation.auth.post(
            "/v1/token/refresh",
            ["refresh_token": again["refresh_token"]]
        )
        #expect(refresh.status == 401)

        // The last admin stays.
        let last = try installation.start("users", "deactivate", email)
        #expect(try await last.waitForExit() != .status(0))
        #expect(last.output.contains("last active admin"), "\(last.output)")
        try await installation.run(
            "users",
            "create",
            "--email",
            "ada@example.com",
            "--role",
            "admin",
            "--password-stdin",
            input: Client.password
        )
        try await installation.run("users", "deactivate", email)
        #expect(try await installation.auth.logIn(email).status != 200)
        #expect(try await server.terminate() == .status(0))

        let unknown = try installation.start("users", "set-role", "nobody@example.com", "admin")
        #expect(try await unknown.waitForExit() != .status(0))
        #expect(unknown.output.contains("nobody@example.com"))
    }

    @Test("keys are listed and rotated, and tokens of the old key stay good", arguments: Engine.allCases)
    func keys(engine: Engine) async throws {
        let installation = try await Installation(engine)
        var server = try await installation.startAuth()
        let signup = try await installation.auth.signUp("ada@example.com")
        #expect(try await server.terminate() == .status(0))

        let before = try await installation.run("keys", "list")
        #expect(before.contains("ES256") && before.contains("current") && before.contains("next"), "\(before)")
        #expect(!before.contains("PRIVATE"), "a private key was printed")
        try await installation.run("keys", "rotate")
        let after = try await installation.run("keys", "list")
        #expect(after.contains("previous"), "\(after)")

        server = try await installation.startAuth()
        let old = signup["access_token"].string
        #expect(try await installation.auth.get("/v1/me", token: old).status == 200)
        #expect(try await installation.auth.logIn("ada@example.com").status == 200)

        // A leaked key is retired while the server runs, and the server notices by itself.
        let kid = try #require(after.firstMatch(of: /(\S+)  ES256  previous/)?.1)
        try await installation.run("keys", "retire", String(kid), "--compromised")
        try await eventually("tokens of the compromised key are refused") {
            try await installation.auth.get("/v1/me", token: old).status == 401
        }
        #expect(try await installation.run("keys", "list").contains("\(kid)  ES256  retired"))
        #expect(try await server.terminate() == .status(0))
    }

    @Test("clients are created, listed, given new secrets, disabled and taken back", arguments: Engine.allCases)
    func clients(engine: Engine) async throws {
        let installation = try await Installation(engine)
        let server = try await installation.startAuth()
        func secret(in output: String) throws -> String {
            String(try #require(output.firstMatch(of: /secret: (tcs_[A-Za-z0-9_-]{49})/)?.1))
        }
        func status(_ secret: String) async throws -> Int {
            try await installation.auth.form(
                "/oauth2/token",
                "grant_type=client_credentials&scope=events&client_id=worker&client_secret=\(secret)"
            ).status
        }
        let first = try secret(
            in: try await installation.run(
                "clients",
                "create",
                "--id",
                "worker",
                "--name",
                "Nightly worker",
                "--scope",
                "events",
                "--scope",
                "introspect"
            )
        )
        #expect(try await status(first) == 200)
        let list = try await installation.run("clients", "list")
        #expect(list.contains("worker  Nightly worker  events,introspect  tessera  active"), "\(list)")
        #expect(!list.contains("tcs_"))

        let second = try secret(in: try await installation.run("clients", "rotate-secret", "worker"))
        #expect(try await status(first) == 200, "good until its date")
        #expect(try await status(second) == 200)
        let third = try secret(in: try await installation.run("clients", "rotate-secret", "worker", "--overlap", "0"))
        #expect(try await status(second) == 401)
        try await installation.run("clients", "disable", "worker")
        #expect(try await status(third) == 401)
        try await installation.run("clients", "enable", "worker")
        #expect(try await status(third) == 200)
        let narrowed = try await installation.run(
            "clients",
            "update",
            "worker",
            "--name",
            "Worker",
            "--scope",
            "events"
        )
        #expect(narrowed.contains("worker  Worker  events  tessera  active"), "\(narrowed)")
        for (arguments, reason) in [
            (["clients", "create", "--id", "worker", "--name", "x"], "already in use"),
            (["clients", "create", "--name", "x", "--scope", "a b"], "scopes"),
            (["clients", "create", "--name", "x", "--jwks", "/nowhere"], "cannot be read"),
            (["clients", "disable", "nobody"], "nobody"), (["clients", "delete", "nobody"], "nobody"),
            (["clients", "update", "worker", "--scope", "a", "--no-scopes"], "--no-scopes"),
        ] {
            let refused = try installation.start(arguments, settings: [:], input: "")
            #expect(try await refused.waitForExit() != .status(0))
            #expect(refused.output.contains(reason), "\(refused.output)")
        }
        try await installation.run("clients", "delete", "worker")
        #expect(try await status(third) == 401)
        #expect(try await installation.run("clients", "list").isEmpty)
        #expect(try await server.terminate() == .status(0))
    }

    @Test("a client's secret is kept in a file: running the command again does nothing, and what is lost is replaced")
    func clientSecretFile() async throws {
        let installation = try await Installation()
        let server = try await installation.startAuth()
        let file = installation.folder.appending(path: "secret")
        let arguments = [
            "clients", "create", "--id", "worker", "--name", "Worker", "--scope", "events", "--secret-file", file.path,
        ]
        func provide(_ arguments: [String]) async throws -> String {
            let output = try await installation.start(arguments, settings: [:], input: "").waitForSuccess()
            #expect(!output.contains("tcs_"))
            return try String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        func status(_ secret: String) async throws -> Int {
            try await installation.auth.form(
                "/oauth2/token",
                "grant_type=client_credentials&client_id=worker&client_secret=\(secret)"
            ).status
        }
        let first = try await provide(arguments)
        #expect(try await status(first) == 200)
        #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o600)
        #expect(try await provide(arguments) == first)

        // The file is lost: a new secret, and the previous one stays valid for a while.
        try FileManager.default.removeItem(at: file)
        let second = try await provide(arguments)
        #expect(second != first)
        #expect(try await status(second) == 200)
        #expect(try await status(first) == 200)
        // The file is older than the database.
        try await installation.run("clients", "rotate-secret", "worker", "--overlap", "0")
        #expect(try await status(second) == 401)
        let third = try await provide(arguments)
        #expect(third != second)
        #expect(try await status(third) == 200)

        for (wrong, reason) in [
            (arguments + ["--scope", "introspect"], "other scopes"),
            (arguments.filter { $0 != "--id" && $0 != "worker" }, "needs --id"),
            (arguments.dropLast() + ["/nowhere/secret"], "cannot be written"),
        ] {
            let refused = try installation.start(Array(wrong), settings: [:], input: "")
            #expect(try await refused.waitForExit() != .status(0))
            #expect(refused.output.contains(reason), "\(refused.output)")
        }
        #expect(try await server.terminate() == .status(0))
    }

    @Test("cleanup runs at once and reports counts", arguments: Engine.allCases)
    func cleanup(engine: Engine) async throws {
        let installation = try await Installation(engine)
        try await installation.run("migrate", "up", "--service", "auth")
        let auth = try await installation.run("cleanup", "--service", "auth")
        #expect(auth.contains("sessions  0") && !auth.contains("chat_"), "\(auth)")
        try await installation.run("migrate", "up", "--service", "chat")
        let both = try await installation.run("cleanup")
        #expect(both.contains("sessions  0") && both.contains("chat_trash_conversations  0"), "\(both)")
    }

    @Test("seed makes an admin, a premium and a standard user once", arguments: Engine.allCases)
    func seed(engine: Engine) async throws {
        let installation = try await Installation(engine)
        try await installation.run("migrate", "up", "--service", "auth")
        try await installation.run("migrate", "up", "--service", "chat")
        try await installation.run("seed")
        let list = try await installation.run("users", "list")
        for role in ["admin", "premium", "user"] { #expect(list.contains(role), "\(list)") }
        try await installation.run("seed")
        #expect(try await installation.run("users", "list") == list)
    }

    @Test("dev writes the sample credentials to a file only its owner reads, prints them once, and keeps its data")
    func devTwice() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_MASTER_KEY": ""])
        var dev = try await installation.startDev()
        let file = installation.folder.appending(path: "data/dev-credentials.json")
        let credentials = try JSONValue(parsing: String(contentsOf: file, encoding: .utf8))
        let email = try #require(credentials["admin"]["email"].string)
        let password = try #require(credentials["admin"]["password"].string)
        #expect(dev.output.contains(password))
        let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        let login = try await installation.auth.logIn(email, password: password)
        #expect(login.status == 200)
        #expect(login["user"]["role"].string == "admin")
        #expect(try await dev.terminate() == .status(0))

        dev = try await installation.startDev()
        #expect(!dev.output.contains(password))
        #expect(try await installation.auth.get("/v1/me", token: login["access_token"].string).status == 200)
        #expect(try await dev.terminate() == .status(0))
    }

    @Test("the three curl lines that dev prints work when they are pasted")
    func pastedLines() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_MASTER_KEY": ""])
        let dev = try await installation.startDev()
        let printed = dev.output.components(separatedBy: "Try (paste line by line):").last ?? ""
        let lines = printed.split(separator: "\n").prefix { $0.hasPrefix("  ") }.map { $0.dropFirst(2) }
        #expect(lines.filter { $0.contains("curl") }.count == 3, "\(dev.output)")
        let shell = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["bash", "-eu", "-c", lines.joined(separator: "\necho\n")],
            environment: [:],
            folder: installation.folder
        )
        let output = try await shell.waitForSuccess()
        #expect(output.contains("admin@example.com") && output.contains("\"message_count\":1"), "\(output)")
        #expect(try await dev.terminate() == .status(0))
    }
}
