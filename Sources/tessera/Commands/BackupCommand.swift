// `tessera backup`: copies the databases into a folder while the services run.
import ArgumentParser
import Foundation
import Logging

enum ServiceSelection: String, ExpressibleByArgument, CaseIterable {
    case auth, chat, all

    var services: [MigrateCommand.Service] {
        switch self {
        case .auth: [.auth]
        case .chat: [.chat]
        case .all: MigrateCommand.Service.allCases
        }
    }
}

struct BackupCommand: TesseraCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the databases into a folder, while they are served from.",
        discussion: """
            Each service's database is copied as it is at one moment: everything that was acknowledged before the \
            command started is in it. SQLite is copied through its backup API, PostgreSQL by pg_dump. The folder gets \
            its name only when all of it is on disk and was checked. It holds password hashes and encrypted keys, but \
            not TESSERA_MASTER_KEY, without which auth's part is of no use: keep that elsewhere.
            """
    )

    @OptionGroup var options: CommonOptions

    @Option(help: "auth, chat or all.")
    var service = ServiceSelection.all

    @Option(help: "The folder to make.")
    var to: String

    @Flag(help: "Replace an earlier backup at that place.")
    var force = false

    func run(_ settings: Settings, logger: Logger) async throws {
        let progress = ProgressDisplay()
        let backup = BackupSet(settings: settings, logger: logger, progress: progress)
        let manifest = try await backup.take(service.services, to: to, force: force)
        for file in manifest.files {
            print("\(file.service)  \(file.engine)  \(ProgressDisplay.size(file.bytes))  \(to)/\(file.name)")
        }
    }
}
