// `tessera dev`: both services in one process, with nothing to configure.
import ArgumentParser
import AuthService
import ChatService
import Foundation
import Logging

struct DevCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run both services in one process, on SQLite unless told otherwise.",
        discussion: "Makes its secrets and three sample users at the first start. For development, not for production."
    )

    @OptionGroup var options: CommonOptions

    func run(_ settings: Settings, logger: Logger) async throws {
        let ring = try settings.masterKeys() ?? DevSecrets.ring(in: settings.dataDirectory)
        let authDatabase = try await ServiceDatabase.open(settings.authDatabase, service: "auth", logger: logger)
        let chatDatabase = try await ServiceDatabase.open(settings.chatDatabase, service: "chat", logger: logger)
        try await authDatabase.prepare(migrate: true, logger: logger)
        try await chatDatabase.prepare(migrate: true, logger: logger)
        let auth = try await Start.auth(settings, ring: ring, authDatabase, logger: logger)
        let (chat, keys) = try Start.chat(settings, chatDatabase, logger: logger)

        let isFirstStart = try await auth.users.isEmpty()
        let samples = isFirstStart ? try await makeSamples(auth, chat, settings) : []
        announce(settings, samples)

        var runner = ServiceRunner(logger: logger)
        runner.addMetrics(on: settings.metrics ?? ListenAddress(host: "127.0.0.1", port: 9090))
        runner.add(auth, on: settings.auth, database: authDatabase.database)
        runner.add(chat, keys: keys, on: settings.chat, database: chatDatabase.database)
        try await runner.run()
    }

    private func makeSamples(_ auth: AuthService, _ chat: ChatService, _ settings: Settings) async throws -> [SampleUser] {
        let made = try await SampleData.makeUsers(auth)
        for (user, _) in made { try await SampleData.makeConversations(chat, owner: user.id) }
        _ = try SampleData.writeCredentials(made.map(\.sample), in: settings.dataDirectory)
        return made.map(\.sample)
    }

    private func announce(_ settings: Settings, _ samples: [SampleUser]) {
        let credentials = "\(settings.dataDirectory)/dev-credentials.json"
        var lines = [
            "",
            "Tessera \(Tessera.version)",
            "  auth  \(settings.publicURL)   \(settings.authDatabase.description)",
            "  chat  \(settings.chatPublicURL)   \(settings.chatDatabase.description)",
            "  data  \(settings.dataDirectory)",
        ]
        if let admin = samples.first(where: { $0.role == .admin }) {
            lines += ["", "Sample admin, shown this once: \(admin.email)  \(admin.password)", "All samples: \(credentials)"]
        }
        let read = "sed 's/.*\"admin\":\\({[^}]*}\\).*/\\1/' '\(credentials)'"
        lines += [
            "",
            "Try (paste line by line):",
            "  TOKEN=$(\(read) | curl -s \(settings.publicURL)/v1/login -H 'Content-Type: application/json' -d @- | sed 's/.*\"access_token\":\"\\([^\"]*\\).*/\\1/')",
            "  curl -s \(settings.publicURL)/v1/admin/users -H \"Authorization: Bearer $TOKEN\"",
            "  curl -s \(settings.chatPublicURL)/v1/conversations -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'",
            "",
        ]
        // Unbuffered, so that whoever reads a pipe sees it before the first request.
        FileHandle.standardOutput.write(Data((lines.joined(separator: "\n") + "\n").utf8))
    }
}
