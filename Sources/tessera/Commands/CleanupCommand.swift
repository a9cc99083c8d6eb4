// `tessera cleanup` and `tessera version`.
import ArgumentParser
import AuthService
import ChatService
import Logging

struct CleanupCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Remove rows that nothing needs any more, now, and report counts."
    )

    @OptionGroup var options: CommonOptions

    func run(_ settings: Settings, logger: Logger) async throws {
        try await withAuth(settings, logger: logger) { auth in
            for (name, count) in try await auth.cleanup.run().counts { print("\(name)  \(count)") }
        }
        try await withChat(settings, logger: logger) { chat in
            for (name, count) in try await chat.cleanup.run() { print("\(name)  \(count)") }
        }
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    func run() {
        print("tessera \(Tessera.version)")
    }
}
