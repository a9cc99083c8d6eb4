import ArgumentParser
import AuthService
import Foundation
import Logging
import ServiceKit

struct ClientsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clients",
        abstract: "Create and list OAuth clients, rotate secrets, disable.",
        subcommands: [Create.self, List.self, RotateSecret.self, Disable.self, Enable.self]
    )

    static func line(_ client: Client) -> String {
        let state = client.isDisabled ? "disabled" : "active"
        let scopes = client.scopes.isEmpty ? "-" : client.scopes.joined(separator: ",")
        return "\(client.id)  \(client.name)  \(scopes)  \(client.audiences.joined(separator: ","))  \(state)"
    }

    /// The secret is on a line of its own, and is never shown again.
    static func show(_ made: ClientWithSecret) {
        print(line(made.client))
        if let secret = made.secret { print("secret: \(secret.text)") }
        if let end = made.client.previousSecretExpiresAt { print("the secret before it is good until \(end)") }
    }

    struct Create: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a client. Its secret is printed once, or written into a file.",
            discussion: """
                With --secret-file it can run at every start: nothing is done while the client is there and the file holds \
                its secret, and a secret that is lost is replaced.
                """
        )
        @OptionGroup var options: CommonOptions
        @Option(help: "What people call it.") var name: String
        @Option(help: "Its id; made up where none is given.") var id: String?
        @Option(help: "A scope that it may ask for, such as events or introspect; may be repeated.")
        var scope: [String] = []
        @Option(help: "An audience of its tokens, and of the tokens that it may introspect; may be repeated.")
        var audience: [String] = [AuthConfiguration.ownAudience]
        @Option(help: "A file with a JWK set of its public keys, for private_key_jwt; it then gets no secret.")
        var jwks: String?
        @Option(help: "A file for the secret, made with mode 0600; needs --id.")
        var secretFile: String?

        func validate() throws {
            guard secretFile == nil || id != nil && jwks == nil else {
                throw ValidationError("--secret-file needs --id, and goes not with --jwks")
            }
        }

        func run(_ settings: Settings, logger: Logger) async throws {
            var draft = ClientDraft(
                id: id.map { RequestText($0) },
                name: RequestText(name),
                scopes: scope.map { RequestText($0) },
                audiences: audience.map { RequestText($0) }
            )
            if let jwks {
                guard let text = try? String(contentsOfFile: jwks, encoding: .utf8) else {
                    throw StartFailure("\(jwks) cannot be read")
                }
                draft.jwks = text
            }
            let wanted = draft
            if let secretFile {
                try await withAuth(settings, logger: logger) { auth in
                    let client = try await Refusal.describing(about: id ?? name) {
                        try await ClientSecretFile(path: secretFile).provide(wanted, auth.clients).client
                    }
                    print(line(client))
                    print("its secret is in \(secretFile)")
                }
                return
            }
            try await withAuth(settings, logger: logger) { auth in
                show(
                    try await Refusal.describing(about: id ?? name) {
                        try await auth.clients.create(wanted, actor: nil, from: .commandLine)
                    }
                )
            }
        }
    }

    struct List: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "List clients; never a secret.")
        @OptionGroup var options: CommonOptions

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger) { auth in
                for client in try await auth.clients.list() { print(line(client)) }
            }
        }
    }

    struct RotateSecret: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a client a new secret, printed once.",
            discussion: "The one before stays good for the overlap, so that the service can be changed in between."
        )
        @OptionGroup var options: CommonOptions
        @Argument(help: "The client's id.") var client: String
        @Option(help: "Seconds for which the secret before stays good; 0 if it has leaked.")
        var overlap = Int64(Clients.overlap.components.seconds)

        func run(_ settings: Settings, logger: Logger) async throws {
            guard (0...Clients.maxOverlap.components.seconds).contains(overlap) else {
                throw StartFailure("--overlap must be from 0 to \(Clients.maxOverlap.components.seconds) seconds")
            }
            try await withAuth(settings, logger: logger) { auth in
                show(
                    try await Refusal.describing(about: client) {
                        try await auth.clients.rotateSecret(
                            of: client,
                            overlap: .seconds(overlap),
                            actor: nil,
                            from: .commandLine
                        )
                    }
                )
            }
        }
    }

    struct Disable: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refuse a client, and the tokens that it has."
        )
        @OptionGroup var options: CommonOptions
        @Argument(help: "The client's id.") var client: String

        func run(_ settings: Settings, logger: Logger) async throws {
            try await ClientsCommand.setDisabled(client, true, self, settings, logger)
        }
    }

    struct Enable: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "Take a disabled client back.")
        @OptionGroup var options: CommonOptions
        @Argument(help: "The client's id.") var client: String

        func run(_ settings: Settings, logger: Logger) async throws {
            try await ClientsCommand.setDisabled(client, false, self, settings, logger)
        }
    }

    private static func setDisabled(
        _ id: String,
        _ isDisabled: Bool,
        _ command: some TesseraCommand,
        _ settings: Settings,
        _ logger: Logger
    ) async throws {
        var change = ClientChange()
        change.isDisabled = isDisabled
        let wanted = change
        try await command.withAuth(settings, logger: logger) { auth in
            let client = try await Refusal.describing(about: id) {
                try await auth.clients.update(id, wanted, actor: nil, from: .commandLine)
            }
            print(line(client))
        }
    }
}
