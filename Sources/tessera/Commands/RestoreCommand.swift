import ArgumentParser
import AuthService
import Foundation
import Logging
import Storage

struct RestoreCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring a backup back. Ends all sessions, begins a new event epoch.",
        discussion: """
            Stop the services first: a database that is in use is refused. Everything is checked before anything is \
            changed, and each database is replaced as a whole or not at all, whatever happens to this process.

            After a recovery by other means (PostgreSQL's point-in-time recovery, a snapshot of the disk, a dump of \
            your own) run `tessera restore --in-place` before the services start: it changes nothing but ends every \
            session and begins the epoch.
            """
    )

    @OptionGroup var options: CommonOptions

    @Option(help: "auth, chat or all that the backup holds.")
    var service = ServiceSelection.all

    @Option(help: "The folder that `tessera backup` made.")
    var from: String?

    @Flag(help: "Auth's database has been brought back already: end every session and begin a new event epoch.")
    var inPlace = false

    @Flag(help: "Do not ask.")
    var yes = false

    func validate() throws {
        guard (from != nil) != inPlace else { throw ValidationError("Give either --from PATH or --in-place.") }
        guard !inPlace || service != .chat else {
            throw ValidationError("--in-place is about auth: chat has no sessions and no events.")
        }
    }

    func run(_ settings: Settings, logger: Logger) async throws {
        if let from {
            let restore = RestoreSet(settings: settings, logger: logger, progress: ProgressDisplay())
            for restored in try await restore.restore(service, from: from, confirm: confirm) {
                print("\(restored.service.rawValue)  restored to \(try restored.service.url(settings))")
                if let epoch = restored.epoch { tell(epoch) }
                try await remindOfMigrations(restored.service, settings, logger)
            }
        } else {
            try confirm(["the sessions of auth at \(try settings.authDatabase)"])
            try await MigrateCommand.with(.auth, settings, logger) { opened in
                guard try await !RestoreTarget.inspect(opened, .auth).isEmpty else {
                    throw StartFailure("the database there is empty")
                }
                tell(try await Recovery(database: opened.database).begin(after: .inPlace))
            }
        }
    }

    private func tell(_ epoch: String) {
        print("auth  every session has ended; the event epoch is now \(epoch)")
    }

    private func remindOfMigrations(_ service: MigrateCommand.Service, _ settings: Settings, _ logger: Logger)
        async throws
    {
        try await MigrateCommand.with(service, settings, logger) { opened in
            guard try await opened.migrator.status(opened.database).contains(where: { $0.appliedAt == nil }) else {
                return
            }
            print("\(service.rawValue)  the backup's schema is older: run `tessera migrate up` next")
        }
    }

    private func confirm(_ subjects: [String]) throws {
        try Question.ask("This replaces \(subjects.joined(separator: ", and "))", isAnswered: yes)
    }
}
