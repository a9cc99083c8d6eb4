import ArgumentParser
import AuthService
import Foundation
import Logging
import ServiceKit

struct ClientsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clients",
        abstract: "Create, list, change and delete OAuth clients.",
        subcommands: [
            Create.self, List.self, Update.self, RotateSecret.self, Disable.self, Enable.self, Delete.self,
        ]
    )

    static func line(_ client: Client) -> String {
        let state = client.isDisabled ? "disabled" : "active"
        let scopes = client.scopes.isEmpty ? "-" : client.scopes.joined(separator: ",")
        return "\(client.id)  \(client.name)  \(scopes)  \(client.audiences.joined(separator: ","))  \(state)"
    }

    /// Says on standard error what a resource server would otherwise find out by `active: false`.
    static func warn(_ client: Client, _ auth: AuthService) {
        let audiences = auth.audiencesWithoutUsers(of: client)
        guard !audiences.isEmpty else { return }
        let text = """
            warning: no user's token is for \(audiences.joined(separator: ", ")): introspection by \(client.id) answers \
            active: false for every user until \(ConfigurationKey.tokenAudiences.name) names it (docs/resource-servers.md)

            """
        FileHandle.standardError.write(Data(text.utf8))
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
        @Flag(help: "Let its assertions name the token endpoint as their audience, instead of the issuer.")
        var allowTokenEndpointAudience = false
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
            draft.allowsTokenEndpointAudience = allowTokenEndpointAudience
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
                    warn(client, auth)
                }
                return
            }
            try await withAuth(settings, logger: logger) { auth in
                let made = try await Refusal.describing(about: id ?? name) {
                    try await auth.clients.create(wanted, actor: nil, from: .commandLine)
                }
                show(made)
                warn(made.client, auth)
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

    struct Update: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a client.",
            discussion: "Without a scope or an audience that it had, the tokens that it has are refused."
        )
        @OptionGroup var options: CommonOptions
        @Argument(help: "The client's id.") var client: String
        @Option(help: "What people call it.") var name: String?
        @Option(help: "A scope that it may ask for, instead of those of before; may be repeated.")
        var scope: [String] = []
        @Flag(help: "Take every scope away.") var noScopes = false
        @Option(help: "An audience, instead of those of before; may be repeated.") var audience: [String] = []
        @Flag(
            inversion: .prefixedNo,
            help: "Let its assertions name the token endpoint as their audience, instead of the issuer."
        )
        var allowTokenEndpointAudience: Bool?

        func validate() throws {
            guard scope.isEmpty || !noScopes else { throw ValidationError("--scope goes not with --no-scopes") }
        }

        func run(_ settings: Settings, logger: Logger) async throws {
            var change = ClientChange()
            change.name = name.map { RequestText($0) }
            if noScopes || !scope.isEmpty { change.scopes = scope.map { RequestText($0) } }
            if !audience.isEmpty { change.audiences = audience.map { RequestText($0) } }
            change.allowsTokenEndpointAudience = allowTokenEndpointAudience
            let wanted = change
            try await withAuth(settings, logger: logger) { auth in
                let changed = try await Refusal.describing(about: client) {
                    try await auth.clients.update(client, wanted, actor: nil, from: .commandLine)
                }
                print(line(changed))
                warn(changed, auth)
            }
        }
    }

    struct Delete: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a client. The tokens that it has are refused, also when the id is used again."
        )
        @OptionGroup var options: CommonOptions
        @Argument(help: "The client's id.") var client: String

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger) { auth in
                try await Refusal.describing(about: client) {
                    try await auth.clients.delete(client, actor: nil, from: .commandLine)
                }
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
