// The rings of both services, as an operator makes, sees and ends their keys.
import Foundation
import TestSupport
import Testing

@Suite("Key rings")
struct RingCommandTests {
    @Test("dev makes chat a ring of its own, and refuses one that is auth's")
    func devRings() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_MASTER_KEY": ""])
        let dev = try await installation.startDev()
        let files = ["master-key", "chat-key"].map { installation.folder.appending(path: "data/\($0)") }
        let keys = try files.map { try String(contentsOf: $0, encoding: .utf8).trimmingCharacters(in: .newlines) }
        #expect(keys[0] != keys[1])
        for file in files {
            let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        }
        #expect(!dev.output.contains(keys[0]) && !dev.output.contains(keys[1]))
        #expect(try await dev.terminate() == .status(0))
        let mixed = try installation.start("dev", settings: ["TESSERA_CHAT_KEY": keys[0]])
        #expect(try await mixed.waitForExit() == .status(78))
        #expect(mixed.output.contains("TESSERA_CHAT_KEY"), "\(mixed.output)")
    }

    @Test("an operator sees the master ring and ends an entry of it", arguments: Engine.allCases)
    func ring(engine: Engine) async throws {
        let installation = try await Installation(engine)
        let (old, new) = (installation.environment["TESSERA_MASTER_KEY"] ?? "", Installation.masterKey())
        var auth = try await installation.startAuth()
        #expect(try await installation.auth.signUp("ada@example.com").status == 201)
        let running = try await installation.run("keys", "ring-status")
        #expect(running.contains("held by 1 of 1 running nodes, first on 1"), "\(running)")
        #expect(
            running.contains("2 signing keys are sealed with it, 1 refresh tokens are derived from it"),
            "\(running)"
        )
        #expect(running.contains(":\(installation.authPort)  keys"), "\(running)")
        #expect(!running.contains(old))
        let id = try #require(running.firstMatch(of: /key  ([0-9a-f]{2})  [0-9a-f]{16}/)?.1)
        #expect(try await auth.terminate() == .status(0))
        #expect(try await installation.run("keys", "ring-status").contains("of 0 running nodes"), "it has left")

        // The command of an operator who has rolled the ring.
        let rolled = ["TESSERA_MASTER_KEY": "\(new),\(old)"]
        func withdraw(_ flags: String...) async throws -> (exit: ServerProcess.Exit, output: String) {
            let arguments = ["keys", "ring-withdraw", String(id)] + flags
            let process = try installation.start(arguments, settings: rolled, input: "")
            return (try await process.waitForExit(), process.output)
        }
        let refused = try await withdraw()
        #expect(refused.exit == .status(1) && refused.output.contains("--lose-tokens"), "\(refused.output)")
        let lost = try await withdraw("--lose-tokens")
        #expect(lost.exit == .status(0) && lost.output.contains("2 signing keys"), "\(lost.output)")
        #expect(try await withdraw("--lose-tokens").exit == .status(1), "once")
        auth = try await installation.startAuth(settings: rolled)
        #expect(try await installation.auth.logIn("ada@example.com").status == 200)
        #expect(auth.output.contains("can leave its ring"), "\(auth.output)")
        #expect(try await auth.terminate() == .status(0))
        let behind = try installation.start("auth")
        #expect(try await behind.waitForExit() == .status(78))
        #expect(behind.output.contains("TESSERA_MASTER_KEY"), "\(behind.output)")
    }
}
