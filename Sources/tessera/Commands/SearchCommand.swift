import ArgumentParser
import ChatService
import Logging

struct SearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Rebuild chat's search index, or purge deleted words from it.",
        subcommands: [Rebuild.self, Purge.self]
    )

    struct Rebuild: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Rebuild the index from the rows, while the service runs.",
            discussion: "On SQLite searches answer 503 search_rebuilding until it is done. Writes go on."
        )
        @OptionGroup var options: CommonOptions

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withChat(settings, logger: logger) { chat in
                let rows = try await chat.searchCommands.rebuild()
                print(rows.map { "rows  \($0)" } ?? "rebuilt")
            }
        }
    }

    struct Purge: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove the words of deleted messages from SQLite's file now.",
            discussion: "The service does so every six hours. On PostgreSQL VACUUM does, and this command does nothing."
        )
        @OptionGroup var options: CommonOptions

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withChat(settings, logger: logger) { chat in
                let report = try await chat.searchCommands.purge()
                print("indexes  \(report.passes)")
                guard report.unfinished == 0 else {
                    throw StartFailure("a reader of the database keeps it from ending: run it again")
                }
            }
        }
    }
}
