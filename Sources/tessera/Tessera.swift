// The only target that chooses an engine.
import ArgumentParser
import Embedded

#if canImport(Glibc)
    import Glibc
#endif

@main
struct Tessera: AsyncParsableCommand {
    static let version = "0.1.0"
    /// With the commit, as `tessera version` prints it.
    static let fullVersion = "\(version) (commit \(BuildInfo.commit))"

    static let configuration = CommandConfiguration(
        commandName: "tessera",
        abstract: "Authentication, sessions and chat data, self-hosted.",
        version: "tessera \(fullVersion)",
        subcommands: [
            DevCommand.self, AuthCommand.self, ChatCommand.self, MigrateCommand.self, KeysCommand.self,
            CleanupCommand.self, UsersCommand.self, ClientsCommand.self, SeedCommand.self, BackupCommand.self,
            RestoreCommand.self, DataCommand.self, SearchCommand.self, SettingsCommand.self, VersionCommand.self,
        ]
    )

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if Overview.isAsked(by: arguments) {
            print(Overview.text)
            // EX_USAGE of sysexits.h: a container without a command does not look as if it had done its work.
            if arguments.isEmpty { Glibc.exit(64) }
        } else {
            await main(arguments)
        }
    }
}
