// The flags that every command takes, and what they lead to.
import ArgumentParser
import AuthService
import Foundation
import Logging
import OpenSSLCrypto
import Storage

struct CommonOptions: ParsableArguments {
    @Option(help: "A YAML file with settings.")
    var config: String?

    @Option(help: "The folder of SQLite files and dev secrets (TESSERA_DATA_DIR).")
    var dataDir: String?

    @Option(help: "The address both services bind (TESSERA_HOST).")
    var host: String?

    @Option(help: "The port of auth (TESSERA_AUTH_PORT).")
    var authPort: String?

    @Option(help: "The port of chat (TESSERA_CHAT_PORT).")
    var chatPort: String?

    @Option(help: "sqlite:PATH or postgres://… (TESSERA_AUTH_DATABASE_URL).")
    var authDatabaseURL: String?

    @Option(help: "sqlite:PATH or postgres://… (TESSERA_CHAT_DATABASE_URL).")
    var chatDatabaseURL: String?

    @Option(help: "trace, debug, info, notice, warning, error or critical (TESSERA_LOG_LEVEL).")
    var logLevel: String?

    @Option(name: .customLong("set"), help: "Any setting as NAME=VALUE; may be repeated. Not for secrets.")
    var assignments: [String] = []

    /// Reads and checks all settings.
    func settings() async throws -> Settings {
        var flags: [String: String] = [:]
        for assignment in assignments {
            let parts = assignment.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw ConfigurationError(key: "--set", "takes NAME=VALUE") }
            flags[parts[0]] = parts[1]
        }
        let named: [(ConfigurationKey, String?)] = [
            (.dataDirectory, dataDir), (.host, host), (.authPort, authPort), (.chatPort, chatPort),
            (.authDatabaseURL, authDatabaseURL), (.chatDatabaseURL, chatDatabaseURL), (.logLevel, logLevel),
        ]
        for case (let key, let value?) in named { flags[key.name] = value }
        let environment = ProcessInfo.processInfo.environment
        return try Settings(try await SettingsReader(flags: flags, environment: environment, file: config))
    }
}

/// A command that reads settings; its errors are one line on standard error.
protocol TesseraCommand: AsyncParsableCommand {
    var options: CommonOptions { get }
    func run(_ settings: Settings, logger: Logger) async throws
}

extension TesseraCommand {
    func run() async throws {
        do {
            let settings = try await options.settings()
            Logs.start(settings)
            try await run(settings, logger: Logger(label: "tessera"))
        } catch let error as ConfigurationError {
            complain("\(error)")
            // EX_CONFIG of sysexits.h: a supervisor need not try again.
            throw ExitCode(78)
        } catch let error as ExitCode {
            throw error
        } catch {
            complain("\(error)")
            throw ExitCode.failure
        }
    }

    private func complain(_ text: String) {
        FileHandle.standardError.write(Data("tessera: \(text)\n".utf8))
    }

    /// Runs `body` with auth on its database, which must be current, and closes it.
    func withAuth<T>(
        _ settings: Settings,
        logger: Logger,
        migrate: Bool = false,
        _ body: (AuthService) async throws -> T
    ) async throws -> T {
        guard let ring = try settings.masterKeys() ?? DevSecrets.existingRing(in: settings.dataDirectory) else {
            throw ConfigurationError(.masterKey, "is required")
        }
        let opened = try await ServiceDatabase.open(settings.authDatabase, service: "auth", logger: logger)
        do {
            try await opened.prepare(migrate: migrate, logger: logger)
            let service = try await Start.auth(settings, ring: ring, opened, logger: logger)
            let result = try await body(service)
            await opened.database.close()
            return result
        } catch {
            await opened.database.close()
            throw error
        }
    }
}
