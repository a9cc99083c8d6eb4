// `tessera dev`: both services in one process, without configuration.
import ArgumentParser
import AuthService
import ChatService
import Foundation
import Logging
import OpenSSLCrypto
import TesseraVerifier

struct DevCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run both services in one process, on SQLite by default.",
        discussion: "Makes its secrets and three sample users at the first start. For development, not for production."
    )

    static let greets = true

    @OptionGroup var options: CommonOptions

    func run(_ settings: Settings, logger: Logger) async throws {
        var settings = settings
        settings.isDevelopment = true
        let connections = ProcessLimits.prepare(settings.connections, logger: logger)
        let ring = try settings.masterKeys() ?? DevSecrets.ring(in: settings.dataDirectory)
        let chatRing = try settings.chatKeys() ?? DevSecrets.chatRing(in: settings.dataDirectory)
        guard !chatRing.shares(with: ring) else {
            throw ConfigurationError(.chatKey, "must not hold a key of \(ConfigurationKey.masterKey.name)")
        }
        // Everything is checked before anything opens.
        _ = try settings.authConfiguration(masterKeys: ring)
        _ = try settings.chatConfiguration()
        let given = try settings.chatFeed()
        try settings.logWarnings(of: .dev, logger)
        let authDatabase = try await ServiceDatabase.open(
            try settings.authDatabase,
            service: "auth",
            missing: .usualSchema,
            slow: settings.slowSQL,
            logger: logger
        )
        let chatDatabase = try await ServiceDatabase.open(
            try settings.chatDatabase,
            service: "chat",
            missing: .usualSchema,
            slow: settings.slowSQL,
            logger: logger
        )
        try await authDatabase.prepare(migrate: true, logger: logger)
        try await chatDatabase.prepare(migrate: true, logger: logger)
        // Before the services: a metric that is made earlier is kept nowhere.
        var runner = ServiceRunner(limits: connections, logger: logger)
        // A terminal shows users' requests; those of chat to auth appear at debug level only.
        let quietAgent = Logs.isTerminal(settings) ? IssuerRequest.agent : nil
        let auth = try await Start.auth(settings, ring: ring, authDatabase, quietAgent: quietAgent, logger: logger)
        try await Start.serving(auth, logger: logger)
        let feed: ChatFeedSettings?
        if try settings.isChatAlone() {
            feed = nil
        } else if let given {
            feed = given
        } else {
            let client = try await DevSecrets.chatClient(in: settings.dataDirectory, auth.clients)
            feed = try settings.chatFeed(clientID: client.id, secret: client.secret)
        }
        let chat = try Start.chat(settings, keys: chatRing, feed: feed, chatDatabase, logger: logger)
        let samples = try await auth.users.isEmpty() ? makeSamples(auth, chat.service, settings) : []

        runner.addMetrics(on: settings.metrics ?? .metrics)
        runner.add(auth, on: settings.auth, database: authDatabase.database)
        runner.add(chat, on: settings.chat, database: chatDatabase.database)
        let greeting = try DevGreeting(settings: settings, samples: samples).text()
        try await runner.run(whenListening: {
            // Unbuffered, so that a reader of a pipe sees it before the first request.
            try? FileHandle.standardOutput.write(contentsOf: Data(greeting.utf8))
        })
    }

    private func makeSamples(
        _ auth: AuthService,
        _ chat: ChatService,
        _ settings: Settings
    ) async throws -> [SampleUser] {
        let samples = SampleUser.make()
        // Written before the users are made: a user whose password is lost could not be made again.
        try SampleData.writeCredentials(samples, in: settings.dataDirectory)
        for (user, _) in try await SampleData.makeUsers(auth, samples) {
            try await SampleData.makeConversations(chat, owner: user.id)
        }
        return samples
    }
}
