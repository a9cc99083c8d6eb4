import ArgumentParser
import AuthService
import Logging
import Storage

struct SeedCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "seed",
        abstract: "Make sample users and conversations. Safe to repeat.",
        discussion: "An admin, a premium and a standard user."
    )

    @OptionGroup var options: CommonOptions

    func run(_ settings: Settings, logger: Logger) async throws {
        let opened = try await ServiceDatabase.open(
            settings.chatDatabase,
            service: "chat",
            slow: settings.slowSQL,
            logger: logger
        )
        do {
            try await opened.prepare(migrate: false, logger: logger)
            let chat = try Start.chat(settings, feed: nil, opened, logger: logger).service
            let made = try await withAuth(settings, logger: logger) { try await SampleData.makeUsers($0) }
            for (user, sample) in made {
                try await SampleData.makeConversations(chat, owner: user.id)
                print("\(sample.email)  \(sample.password)")
            }
            if made.isEmpty { print("the sample users exist") }
        } catch {
            await opened.database.close()
            throw error
        }
        await opened.database.close()
    }
}
