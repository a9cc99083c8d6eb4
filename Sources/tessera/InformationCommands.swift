import ArgumentParser

struct SettingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings",
        abstract: "List every setting with its meaning and its default."
    )

    func run() {
        print(ConfigurationKey.help)
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version and the commit it was built from."
    )

    func run() {
        print("tessera \(Tessera.fullVersion)")
    }
}
