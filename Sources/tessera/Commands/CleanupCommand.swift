import ArgumentParser
import AuthService
import ChatService
import Logging
import ServiceKit

struct CleanupCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Remove rows that nothing needs any more, now, and report counts."
    )

    @OptionGroup var options: CommonOptions

    @Option(help: "auth or chat; both unless given.")
    var service: MigrateCommand.Service?

    func run(_ settings: Settings, logger: Logger) async throws {
        if service != .chat {
            try await withAuth(settings, logger: logger) { auth in
                for (name, count) in try await auth.cleanup.run().counts { print("\(name)  \(count)") }
            }
        }
        if service != .auth {
            try await withChat(settings, logger: logger) { chat in
                for (name, count) in try await chat.cleanup.run().counts { print("\(name)  \(count)") }
            }
        }
    }
}
