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

        func url(_ settings: Settings) throws -> DatabaseURL { try settings.databases.url(of: rawValue) }
    }

    static func with(
        _ service: Service,
        _ settings: Settings,
        _ logger: Logger,
        missing: MissingPlace = .refused,
        _ body: (ServiceDatabase) async throws -> Void
    ) async throws {
        try await with(service, at: try service.url(settings), logger, missing: missing, body)
    }

    static func with(
        _ service: Service,
        at url: DatabaseURL,
        _ logger: Logger,
        missing: MissingPlace = .refused,
        _ body: (ServiceDatabase) async throws -> Void
    ) async throws {
        let opened = try await ServiceDatabase.open(
            url,
            service: service.rawValue,
            missing: missing,
            logger: logger
        )
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
        @Flag(help: "Make the PostgreSQL database and the schema where they are missing.") var createDatabase = false

        func run(_ settings: Settings, logger: Logger) async throws {
            let services = service.map { [$0] } ?? Service.allCases
            // Both are named before one is changed.
            for service in services { _ = try service.url(settings) }
            for service in services {
                try await with(service, settings, logger, missing: createDatabase ? .made : .usualSchema) { opened in
                    try await opened.requireOwn()
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
        @Flag(help: "Do not ask: more than one step, and one that drops rows, asks otherwise.") var yes = false

        func validate() throws {
            guard steps > 0 else { throw ValidationError("--steps takes a number from 1.") }
        }

        func run(_ settings: Settings, logger: Logger) async throws {
            try await with(service, settings, logger) { opened in
                let reversal = try await opened.migrator.reversal(opened.database, steps: steps)
                if reversal.count > 1 || reversal.contains(where: \.dropsRows) {
                    let names = reversal.map { "\($0.name)\($0.dropsRows ? ", which drops rows" : "")" }
                    try Question.ask("This takes back \(names.joined(separator: "; "))", isAnswered: yes)
                }
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
