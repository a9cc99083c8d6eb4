import ArgumentParser
import AuthService
import Logging

struct SeedCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "seed",
        abstract: "Make sample users and conversations. Safe to repeat.",
        discussion: "An admin, a premium and a standard user."
    )

    @OptionGroup var options: CommonOptions

    func run(_ settings: Settings, logger: Logger) async throws {
        try await withChat(settings, logger: logger) { chat in
            let made = try await withAuth(settings, logger: logger) { try await SampleData.makeUsers($0) }
            for (user, sample) in made {
                try await SampleData.makeConversations(chat, owner: user.id)
                print("\(sample.email)  \(sample.password)")
            }
            if made.isEmpty { print("the sample users exist") }
        }
    }
}
