import ArgumentParser
import Logging
import Storage

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring a service's schema up or down, or say where it stands.",
        subcommands: [Up.self, Down.self, Status.self, Stamp.self]
    )

    enum Service: String, ExpressibleByArgument, CaseIterable {
        case auth, chat

        func url(_ settings: Settings) -> DatabaseURL {
            switch self {
            case .auth: settings.authDatabase
            case .chat: settings.chatDatabase
            }
        }
    }

    static func with(
        _ service: Service,
        _ settings: Settings,
        _ logger: Logger,
        _ body: (ServiceDatabase) async throws -> Void
    ) async throws {
        try await with(service, at: service.url(settings), logger, body)
    }

    static func with(
        _ service: Service,
        at url: DatabaseURL,
        _ logger: Logger,
        _ body: (ServiceDatabase) async throws -> Void
    ) async throws {
        let opened = try await ServiceDatabase.open(url, service: service.rawValue, logger: logger)
        do {
            try await body(opened)
        } catch {
            await opened.database.close()
            throw error
        }
        await opened.database.close()
    }

    struct Up: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "Apply what is pending.")
        @OptionGroup var options: CommonOptions
        @Option(help: "auth or chat; both unless given.") var service: Service?
        @Option(help: "The last number to apply.") var to: Int?

        func run(_ settings: Settings, logger: Logger) async throws {
            for service in service.map({ [$0] }) ?? Service.allCases {
                try await with(service, settings, logger) { opened in
                    let applied = try await opened.migrator.up(opened.database, to: to)
                    for name in applied { print("\(name) applied") }
                    if applied.isEmpty { print("\(service.rawValue): nothing to do") }
                }
            }
        }
    }

    struct Down: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "Take back the newest migrations. Deletes data.")
        @OptionGroup var options: CommonOptions
        @Option(help: "auth or chat.") var service: Service
        @Option(help: "How many.") var steps = 1

        func run(_ settings: Settings, logger: Logger) async throws {
            try await with(service, settings, logger) { opened in
                for name in try await opened.migrator.down(opened.database, steps: steps) {
                    print("\(name) taken back")
                }
            }
        }
    }

    struct Status: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "Say which migrations ran.")
        @OptionGroup var options: CommonOptions
        @Option(help: "auth or chat; both unless given.") var service: Service?

        func run(_ settings: Settings, logger: Logger) async throws {
            for service in service.map({ [$0] }) ?? Service.allCases {
                try await with(service, settings, logger) { opened in
                    for status in try await opened.migrator.status(opened.database) {
                        let state = status.appliedAt.map { "applied \($0)" } ?? "pending"
                        let remark = status.wasEdited ? "  EDITED SINCE" : status.isKnown ? "" : "  of a newer program"
                        print("\(status.name)  \(state)\(remark)")
                    }
                }
            }
        }
    }

    struct Stamp: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Record migrations as applied without running them, for a schema made otherwise."
        )
        @OptionGroup var options: CommonOptions
        @Option(help: "auth or chat.") var service: Service
        @Option(help: "The last number to record.") var to: Int

        func run(_ settings: Settings, logger: Logger) async throws {
            try await with(service, settings, logger) { opened in
                for name in try await opened.migrator.stamp(opened.database, to: to) { print("\(name) recorded") }
            }
        }
    }
}
