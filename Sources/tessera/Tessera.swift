// The one binary. Each subcommand is a small file in Commands/; this is the only target that chooses an engine.
import ArgumentParser

@main
struct Tessera: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "tessera",
        abstract: "Authentication, sessions and chat data, self-hosted.",
        discussion: """
            Settings come from flags, then the environment (TESSERA_…), then a YAML file (--config).
            A wrong one refuses to start. `tessera dev` needs none.

            \(ConfigurationKey.help)
            """,
        version: version,
        subcommands: [
            DevCommand.self, AuthCommand.self, ChatCommand.self, MigrateCommand.self, KeysCommand.self,
            CleanupCommand.self, UsersCommand.self, ClientsCommand.self, SeedCommand.self, BackupCommand.self,
            RestoreCommand.self, DataCommand.self,
            VersionCommand.self,
        ]
    )
}
