// Needs no container engine. The Dockerfile may only run make targets that continuous integration proves, with files
// that exist; compose.yaml must match its readers.
import Foundation
import TestSupport
import Testing

@Suite("Dockerfile and compose.yaml")
struct ContainerFilesTests {
    @Test("every COPY source of the Dockerfile exists in the repository and is not ignored by the build")
    func copySources() throws {
        let ignored = try Repository.text(".dockerignore").split(separator: "\n").map(String.init)
        let instructions = try Self.instructions()
        var copied = 0
        for words in instructions.filter({ $0.first == "COPY" }).map({ $0.dropFirst() }) {
            if let stage = words.first(where: { $0.hasPrefix("--from=") }) {
                // `--from` must name a stage of this file, and a file that `make release` leaves there.
                let name = String(stage.dropFirst("--from=".count))
                #expect(instructions.contains { $0.first == "FROM" && $0.suffix(2) == ["AS", name] })
                #expect(words.dropFirst().first == "/src/dist/tessera")
                continue
            }
            for source in words.filter({ !$0.hasPrefix("--") }).dropLast() {
                #expect(Repository.exists(source), "COPY \(source)")
                #expect(!ignored.contains(source), "COPY \(source)")
                copied += 1
            }
        }
        #expect(copied > 0)
    }

    @Test("RUN installs packages, makes the user and calls make targets that CI runs, nothing else")
    func runCommands() throws {
        let continuousIntegration = try Repository.text(".ci/run")
        let makefile = try Repository.text("Makefile")
        let bookkeeping: Set = ["apt-get", "rm", "useradd", "install"]
        var targets: [String] = []
        for words in try Self.instructions().filter({ $0.first == "RUN" }) {
            for command in words.dropFirst().split(separator: "&&") {
                guard let program = command.first, !bookkeeping.contains(program) else { continue }
                #expect(program == "make", "RUN \(command.joined(separator: " "))")
                targets += command.dropFirst()
            }
        }
        #expect(!targets.isEmpty)
        for target in targets {
            #expect(makefile.contains("\n\(target):"), "make \(target)")
            #expect(continuousIntegration.contains("make \(target)\n"), "make \(target)")
        }
    }

    @Test("the image has no default command, so that nobody runs `dev` by leaving the command out")
    func noDefaultCommand() throws {
        #expect(try Self.instructions().allSatisfy { $0.first != "CMD" })
        #expect(try Self.instructions().contains { $0.first == "ENTRYPOINT" })
    }

    @Test("no container of compose.yaml has a key ring or a password in its environment")
    func secretsAreFiles() throws {
        let text = try Repository.text("compose.yaml")
        for name in ["TESSERA_MASTER_KEY", "POSTGRES_PASSWORD", "TESSERA_CHAT_DATABASE_URL"] {
            #expect(!text.contains(try Regex("\\n      \(name):")), "\(name)")
        }
        #expect(text.contains("      TESSERA_MASTER_KEY_FILE: /run/secrets/master-key\n"))
        #expect(text.contains("  master-key:\n    environment: TESSERA_MASTER_KEY\n"))
        #expect(!text.contains(/:[^@\s]*\$\{POSTGRES_PASSWORD\}@/))
    }

    @Test("the final image does not run as root")
    func unprivileged() throws {
        let last = try Self.instructions().split { $0.first == "FROM" }.last ?? []
        let user = try #require(last.first { $0.first == "USER" }?.last)
        #expect(user != "root" && user != "0")
    }

    @Test(
        "compose.yaml is YAML that names auth, chat and two databases, each with a health check",
        .needsPrograms
    )
    func compose() async throws {
        let script = """
            import json, sys, yaml
            json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)
            """
        let python = Repository.root.appending(path: ".venv/bin/python").path
        let file = Repository.root.appending(path: "compose.yaml").path
        let output = try await Repository.run(python, ["-c", script, file])
        let compose = try JSONDecoder().decode(Compose.self, from: Data(output.utf8))

        #expect(Set(compose.services.keys) == ["auth", "chat", "chat-client", "auth-db", "chat-db"])
        // It runs to its end and has no health check.
        for (name, service) in compose.services where name != "chat-client" {
            #expect(service.healthcheck?.test.isEmpty == false, "\(name) has a health check")
        }
        #expect(compose.services["auth"]?.dependencies?["auth-db"]?.condition == "service_healthy")
        #expect(compose.services["chat"]?.dependencies?["chat-db"]?.condition == "service_healthy")
        #expect(compose.services["chat"]?.dependencies?["chat-client"]?.condition == "service_completed_successfully")
        #expect(compose.services["chat-client"]?.dependencies?["auth"]?.condition == "service_healthy")
        #expect(compose.services["auth"]?.command?.first == "auth")
        #expect(compose.services["chat"]?.command?.first == "chat")
    }

    @Test("chat reads the secret that chat-client's command writes, from the one volume that both have")
    func chatClient() async throws {
        let text = try Repository.text("compose.yaml")
        let command = try #require(text.firstMatch(of: /command: \["clients", [^\]]+\]/)?.0)
        let file = "/var/lib/tessera/chat-client-secret"
        // CommandTests runs it with these options.
        #expect(
            command.matches(of: /"([^"]+)"/).map { String($0.1) } == [
                "clients", "create", "--id", "chat", "--name", "chat", "--scope", "events", "--secret-file", file,
            ]
        )
        #expect(text.contains("TESSERA_CHAT_CLIENT_SECRET_FILE: \(file)\n"))
        #expect(text.contains("TESSERA_CHAT_CLIENT_ID: chat\n"))
        #expect(text.matches(of: /volumes: \["chat-client:\/var\/lib\/tessera(:ro)?"\]/).count == 2)
    }

    @Test("every TESSERA_ key in compose.yaml and the Dockerfile is documented")
    func keysAreDocumented() throws {
        let documented = try Repository.text("docs/configuration.md")
        for file in ["compose.yaml", "Dockerfile"] {
            let keys = Set(try Repository.text(file).matches(of: /TESSERA_[A-Z_]+/).map { String($0.0) })
            #expect(!keys.isEmpty)
            for key in keys.map({ $0.hasSuffix("_FILE") ? String($0.dropLast(5)) : $0 }) {
                #expect(documented.contains("`\(key)`"), "\(key) of \(file)")
            }
        }
    }

    private static func instructions() throws -> [[String]] {
        try Repository.text("Dockerfile")
            .replacing("\\\n", with: " ")
            .split(separator: "\n")
            .filter { !$0.hasPrefix("#") }
            .map { $0.split(separator: " ").map(String.init) }
    }

    private struct Compose: Decodable {
        let services: [String: Service]

        struct Service: Decodable {
            let command: [String]?
            let healthcheck: HealthCheck?
            let dependencies: [String: Dependency]?

            enum CodingKeys: String, CodingKey {
                case command, healthcheck
                case dependencies = "depends_on"
            }
        }
        struct HealthCheck: Decodable { let test: [String] }
        struct Dependency: Decodable { let condition: String }
    }
}
