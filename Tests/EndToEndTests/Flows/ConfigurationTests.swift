import Foundation
import TestSupport
import Testing

@Suite("Configuration")
struct ConfigurationTests {
    struct BadSetting: Sendable, CustomTestStringConvertible {
        let key: String
        let value: String
        var testDescription: String { "\(key)=\(value)" }
    }

    static let badSettings: [BadSetting] = [
        ("TESSERA_AUTH_PORT", "70000"),
        ("TESSERA_AUTH_PORT", "eighty"),
        ("TESSERA_PUBLIC_URL", "somewhere"),
        ("TESSERA_PUBLIC_URL", "ftp://example.com"),
        ("TESSERA_METRICS_ADDRESS", "nowhere"),
        ("TESSERA_AUTH_DATABASE_URL", "mysql://localhost/tessera"),
        ("TESSERA_MASTER_KEY", "c2hvcnQ="),
        ("TESSERA_MASTER_KEY", "this is not base64"),
        ("TESSERA_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("TESSERA_CORS_ORIGINS", "*"),
        ("TESSERA_ACCESS_TOKEN_TTL", "soon"),
        ("TESSERA_ACCESS_TOKEN_TTL", "0s"),
        ("TESSERA_REFRESH_GRACE", "61s"),
        ("TESSERA_SESSION_IDLE", "-1d"),
        ("TESSERA_ARGON2_MEMORY_KIB", "1"),
        ("TESSERA_HASH_THREADS", "0"),
        ("TESSERA_SIGNING_ALG", "HS256"),
        ("TESSERA_PASSWORD_MIN", "0"),
        ("TESSERA_CLEANUP_INTERVAL", "often"),
        ("TESSERA_RATE_LIMITS", "perhaps"),
        ("TESSERA_LOG_LEVEL", "loud"),
        ("TESSERA_LOG_FORMAT", "xml"),
    ].map(BadSetting.init)

    @Test("a bad value refuses to start and names the key", arguments: badSettings)
    func refusesToStart(bad: BadSetting) async throws {
        let installation = try await Installation(.sqlite, [bad.key: bad.value])
        let process = try installation.start("auth", "--migrate")
        guard case .status(let status) = try await process.waitForExit() else {
            Issue.record("ended by a signal: \(process.output)")
            return
        }
        #expect(status != 0)
        #expect(process.output.contains(bad.key), "\(process.output)")
        if bad.key == "TESSERA_MASTER_KEY" { #expect(!process.output.contains(bad.value), "a secret was printed") }
    }

    @Test("without a master key auth refuses to start and names the key")
    func masterKeyIsRequired() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_MASTER_KEY": ""])
        let process = try installation.start("auth", "--migrate")
        #expect(try await process.waitForExit() != .status(0))
        #expect(process.output.contains("TESSERA_MASTER_KEY"))
    }

    @Test("a database password in a flag, where `ps` shows it, refuses to start and is not repeated")
    func passwordInFlag() async throws {
        let installation = try await Installation()
        for command in ["auth", "dev", "migrate"] {
            let process = try installation.start(
                (command == "migrate" ? ["migrate", "up", "--service", "auth"] : [command])
                    + ["--auth-database-url", "postgres://tessera:hunter2@127.0.0.1:1/tessera"],
                settings: [:],
                input: ""
            )
            #expect(try await process.waitForExit() == .status(78), "\(process.output)")
            #expect(process.output.contains("TESSERA_AUTH_DATABASE_URL_FILE") && !process.output.contains("hunter2"))
        }
    }

    @Test("chat does not read the master key, and says that it should not have one")
    func chatWithoutMasterKey() async throws {
        for name in ["TESSERA_MASTER_KEY", "TESSERA_MASTER_KEY_FILE"] {
            // A service that reads it refuses to start.
            let settings = ["TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": "unknown"]
            let rings = ["TESSERA_MASTER_KEY": ""].merging([name: "/no/ring"]) { $1 }
            let installation = try await Installation(.sqlite, settings.merging(rings) { $1 })
            let auth = try installation.start("auth", "--migrate")
            #expect(try await auth.waitForExit() == .status(78))
            let chat = try installation.start("chat", "--migrate")
            try await eventually("chat listens") {
                (try? await installation.chat.get("/healthz").status) == 200
            }
            #expect(chat.output.contains("master key"), "\(chat.output)")
            #expect(try await chat.terminate() == .status(0))
        }
    }

    @Test("a secret may come from a file")
    func secretFromFile() async throws {
        let installation = try await Installation()
        let file = installation.folder.appending(path: "master-key")
        try "\(Installation.masterKey())\n".write(to: file, atomically: true, encoding: .utf8)
        let process = try await installation.startAuth(
            settings: ["TESSERA_MASTER_KEY": "", "TESSERA_MASTER_KEY_FILE": file.path]
        )
        #expect(try await installation.auth.signUp("ada@example.com").status == 201)
        #expect(try await process.terminate() == .status(0))
    }

    @Test("an old schema refuses to start and says what to do", arguments: Engine.allCases)
    func oldSchema(engine: Engine) async throws {
        let installation = try await Installation(engine)
        let process = try installation.start("auth")
        let exit = try await process.waitForExit()
        #expect(exit != .status(0))
        #expect(process.output.contains("migrate"), "\(process.output)")
    }
}
