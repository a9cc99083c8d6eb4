import ArgumentParser
import AuthService
import ChatService
import Foundation
import Logging
import OpenSSLCrypto
import Storage

struct CommonOptions: ParsableArguments {
    @Option(help: "A YAML file with settings: TESSERA_AUTH_PORT is auth_port there.")
    var config: String?

    @Option(help: .setting(.dataDirectory))
    var dataDir: String?

    @Option(help: .setting(.host))
    var host: String?

    @Option(help: .setting(.authPort))
    var authPort: String?

    @Option(help: .setting(.chatPort))
    var chatPort: String?

    @Option(help: .setting(.authDatabaseURL))
    var authDatabaseURL: String?

    @Option(help: .setting(.chatDatabaseURL))
    var chatDatabaseURL: String?

    @Option(help: .setting(.logLevel))
    var logLevel: String?

    @Option(
        name: .customLong("set"),
        help: "Any setting that is no secret, as NAME=VALUE; may be repeated. `tessera settings` lists them."
    )
    var assignments: [String] = []

    static func assigned(_ assignments: [String]) throws -> [String: String] {
        var flags: [String: String] = [:]
        for assignment in assignments {
            let parts = assignment.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw ConfigurationError(key: "--set", "takes NAME=VALUE") }
            // SECURITY: every process of the machine can read the arguments of every other.
            if ConfigurationKey.all.contains(where: { $0.isSecret && $0.name == parts[0] }) {
                throw ConfigurationError(
                    key: parts[0],
                    "is a secret: it is taken from the environment, or from a file by \(parts[0])_FILE"
                )
            }
            flags[parts[0]] = parts[1]
        }
        return flags
    }

    /// SECURITY: every process of the machine can read the arguments of every other, so a URL given by a flag has no
    /// password.
    static func refusePassword(in value: String, _ key: ConfigurationKey) throws {
        guard key.kind == .databaseURL, DatabaseURL.holdsPassword(value) else { return }
        throw ConfigurationError(
            key,
            "has a password, which `ps` shows to every user when it comes by a flag: use the environment, or a file by "
                + "\(key.name)_FILE"
        )
    }

    private func flags() throws -> [String: String] {
        var flags = try Self.assigned(assignments)
        let named: [(ConfigurationKey, String?)] = [
            (.dataDirectory, dataDir), (.host, host), (.authPort, authPort), (.chatPort, chatPort),
            (.authDatabaseURL, authDatabaseURL), (.chatDatabaseURL, chatDatabaseURL), (.logLevel, logLevel),
        ]
        for case (let key, let value?) in named {
            try Self.refusePassword(in: value, key)
            flags[key.name] = value
        }
        return flags
    }

    func settings() async throws -> Settings {
        let environment = ProcessInfo.processInfo.environment
        return try Settings(try await SettingsReader(flags: flags(), environment: environment, file: config))
    }
}

/// A command that reads settings and reports errors in one line on standard error.
protocol TesseraCommand: AsyncParsableCommand {
    var options: CommonOptions { get }
    /// Whether the command prints a greeting in a terminal.
    static var greets: Bool { get }
    func run(_ settings: Settings, logger: Logger) async throws
}

extension TesseraCommand {
    static var greets: Bool { false }

    func run() async throws {
        do {
            let settings = try await options.settings()
            Logs.start(settings, greets: Self.greets)
            try await run(settings, logger: Logger(label: "tessera"))
        } catch let error as ConfigurationError {
            Logs.complain("\(error)")
            // EX_CONFIG of sysexits.h: a supervisor need not retry.
            throw ExitCode(78)
        } catch let error as ExitCode {
            throw error
        } catch {
            Logs.complain("\(error)")
            throw ExitCode.failure
        }
    }

    func withAuth<T>(
        _ settings: Settings,
        logger: Logger,
        migrate: Bool = false,
        mustSign: Bool = true,
        _ body: (AuthService) async throws -> T
    ) async throws -> T {
        guard let ring = try settings.masterKeys() ?? DevSecrets.existingRing(in: settings.dataDirectory) else {
            throw ConfigurationError(.masterKey, "is required")
        }
        let opened = try await ServiceDatabase.open(
            try settings.authDatabase,
            service: "auth",
            missing: migrate ? .usualSchema : .refused,
            slow: settings.slowSQL,
            logger: logger
        )
        do {
            try await opened.prepare(migrate: migrate, logger: logger)
            let service = try await Start.auth(settings, ring: ring, opened, mustSign: mustSign, logger: logger)
            let result = try await body(service)
            await opened.database.close()
            return result
        } catch {
            await opened.database.close()
            throw error
        }
    }

    func withChat<T>(
        _ settings: Settings,
        logger: Logger,
        _ body: (ChatService) async throws -> T
    ) async throws -> T {
        let opened = try await ServiceDatabase.open(
            try settings.chatDatabase,
            service: "chat",
            slow: settings.slowSQL,
            logger: logger
        )
        do {
            try await opened.prepare(migrate: false, logger: logger)
            let service = try Start.chat(settings, feed: nil, opened, logger: logger).service
            let result = try await body(service)
            await opened.database.close()
            return result
        } catch {
            await opened.database.close()
            throw error
        }
    }
}
