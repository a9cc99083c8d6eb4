import ArgumentParser
import Logging

struct AuthCommand: TesseraCommand {
    static let configuration = CommandConfiguration(commandName: "auth", abstract: "Run the auth service.")

    @OptionGroup var options: CommonOptions

    @Flag(help: "Bring the schema up to date first.")
    var migrate = false

    func run(_ settings: Settings, logger: Logger) async throws {
        let connections = ProcessLimits.prepare(settings.connections, logger: logger)
        guard let ring = try settings.masterKeys() else { throw ConfigurationError(.masterKey, "is required") }
        // Everything is checked before anything opens.
        _ = try settings.authConfiguration(masterKeys: ring)
        try settings.logWarnings(of: .auth, logger)
        let opened = try await ServiceDatabase.open(
            try settings.authDatabase,
            service: "auth",
            missing: migrate ? .usualSchema : .refused,
            slow: settings.slowSQL,
            logger: logger
        )
        try await opened.prepare(migrate: migrate, logger: logger)
        var runner = ServiceRunner(limits: connections, logger: logger)
        let auth = try await Start.auth(settings, ring: ring, opened, logger: logger)
        try await Start.serving(auth, logger: logger)
        runner.addMetrics(on: settings.metrics ?? .metrics)
        runner.add(auth, on: settings.auth, database: opened.database)
        logger.info("auth starts", metadata: ["address": "\(settings.auth)"])
        try await runner.run()
    }
}

struct ChatCommand: TesseraCommand {
    static let configuration = CommandConfiguration(commandName: "chat", abstract: "Run the chat service.")

    @OptionGroup var options: CommonOptions

    @Flag(help: "Bring the schema up to date first.")
    var migrate = false

    func run(_ settings: Settings, logger: Logger) async throws {
        let connections = ProcessLimits.prepare(settings.connections, logger: logger)
        // SECURITY: chat reads no master key. One in its environment is one more place from which it may leak.
        if settings.reader.isGiven(.masterKey) {
            logger.warning(
                "chat was given auth's master key, which it does not read and should not have",
                metadata: ["setting": "\(ConfigurationKey.masterKey.name)"]
            )
        }
        _ = try settings.chatConfiguration()
        let feed = try settings.chatFollows()
        try settings.logWarnings(of: .chat, logger)
        let opened = try await ServiceDatabase.open(
            try settings.chatDatabase,
            service: "chat",
            missing: migrate ? .usualSchema : .refused,
            slow: settings.slowSQL,
            logger: logger
        )
        try await opened.prepare(migrate: migrate, logger: logger)
        var runner = ServiceRunner(limits: connections, logger: logger)
        let chat = try Start.chat(settings, feed: feed, opened, logger: logger)
        runner.addMetrics(on: settings.metrics ?? ListenAddress(host: "127.0.0.1", port: 9091))
        runner.add(chat, on: settings.chat, database: opened.database)
        logger.info("chat starts", metadata: ["address": "\(settings.chat)"])
        try await runner.run()
    }
}
