// `tessera --help`: the commands, on one screen. ArgumentParser would begin with its own options, and every command has
// a help page by it.
import ArgumentParser

enum Overview {
    static func isAsked(by arguments: [String]) -> Bool {
        arguments.isEmpty || arguments == ["--help"] || arguments == ["-h"] || arguments == ["help"]
    }

    static var text: String {
        let commands = Tessera.configuration.subcommands.map { command in
            let name = command.configuration.commandName ?? ""
            return "  \(name)\(String(repeating: " ", count: max(1, 11 - name.count)))\(command.configuration.abstract)"
        }
        return """
            Tessera \(Tessera.version): authentication, sessions and chat data, self-hosted.

            Usage: tessera COMMAND [options]

            \(commands.joined(separator: "\n"))

            Settings come from flags, then the environment (TESSERA_...), then a YAML file
            (--config). A wrong one refuses to start. `tessera dev` needs none.
            `tessera COMMAND --help` shows the options of a command.
            """
    }
}
