import ArgumentParser
import AuthService
import Logging
import ServiceKit

struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users",
        abstract: "Create and list users, set roles, deactivate, revoke sessions.",
        subcommands: [Create.self, List.self, Conflicts.self, SetRole.self, Deactivate.self, RevokeSessions.self]
    )

    static func find(_ name: String, _ users: Users) async throws -> User {
        let found: User? =
            if let email = Email(name) { try await users.find(email: email) } else { try await users.find(id: name) }
        guard let found else { throw StartFailure("there is no user \(name)") }
        return found
    }

    static func line(_ user: User) -> String {
        "\(user.id)  \(user.email ?? "-")  \(user.role.rawValue)  \(user.isActive ? "active" : "deactivated")"
    }

    struct Create: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a user. The password is read from standard input."
        )
        @OptionGroup var options: CommonOptions
        @Option(help: "The address.") var email: String
        @Option(help: "The name.") var name: String?
        @Option(help: "user, premium or admin.") var role = "user"
        // An argument would be visible to every process of the machine and in the shell's history.
        @Flag(help: "Read the password from standard input, which is the only way there is.") var passwordStdin = false

        func run(_ settings: Settings, logger: Logger) async throws {
            guard let email = Email(email), email.isPossible else {
                throw StartFailure("\(email) is not an email address")
            }
            guard let role = Role(rawValue: role) else { throw StartFailure("the role must be user, premium or admin") }
            guard passwordStdin, let password = readLine(), !password.isEmpty else {
                throw StartFailure("the password is expected on standard input, with --password-stdin")
            }
            try await withAuth(settings, logger: logger) { auth in
                let signup = Signup(
                    email: email,
                    password: RequestText(password),
                    name: name.map { RequestText($0) }
                )
                let user = try await Refusal.describing(about: email.address) {
                    try await auth.passwords.create(signup, role: role, actor: nil, from: .commandLine)
                }
                print(line(user))
            }
        }
    }

    struct Conflicts: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "List users whose addresses are one address, such as bücher.de and xn--bcher-kva.de.",
            discussion: """
                Both keep signing in with the address as it was typed. First the keys of all addresses are brought up to \
                date, which the service does too, ten minutes after its first start.
                """
        )
        @OptionGroup var options: CommonOptions

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger) { auth in
                try await auth.emailKeys.run(isForced: true)
                for conflict in try await auth.emailKeys.conflicts() {
                    print("\(conflict.userID)  \(conflict.email)  since \(conflict.createdAt)")
                    guard let holder = conflict.holder else { continue }
                    print("    meets \(holder.id)  \(holder.email)  since \(holder.createdAt)")
                }
            }
        }
    }

    struct List: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "List users, newest first.")
        @OptionGroup var options: CommonOptions
        @Option(help: "The beginning of an address or name.") var search: String?

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger) { auth in
                var cursor: Cursor?
                repeat {
                    let page = try await auth.users.list(
                        UserFilter(prefix: search.map { RequestText($0) }),
                        PageRequest(limit: 100, cursor: cursor, direction: .forward)
                    )
                    for user in page.items { print(line(user)) }
                    cursor = page.next
                } while cursor != nil
            }
        }
    }

    struct SetRole: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "Change a user's role.")
        @OptionGroup var options: CommonOptions
        @Argument(help: "Email or id.") var user: String
        @Argument(help: "user, premium or admin.") var role: String

        func run(_ settings: Settings, logger: Logger) async throws {
            guard let role = Role(rawValue: role) else { throw StartFailure("the role must be user, premium or admin") }
            try await withAuth(settings, logger: logger) { auth in
                let found = try await find(user, auth.users)
                let change = try await Refusal.describing(about: user) {
                    try await auth.userStates.setRole(found.id, role, actor: nil, from: .commandLine)
                }
                print(line(change.user))
            }
        }
    }

    struct Deactivate: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "Refuse a user and end their sessions.")
        @OptionGroup var options: CommonOptions
        @Argument(help: "Email or id.") var user: String

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger) { auth in
                let found = try await find(user, auth.users)
                let change = try await Refusal.describing(about: user) {
                    try await auth.userStates.deactivate(found.id, actor: nil, from: .commandLine)
                }
                print(line(change.user))
            }
        }
    }

    struct RevokeSessions: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "End all sessions of a user.")
        @OptionGroup var options: CommonOptions
        @Argument(help: "Email or id.") var user: String

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger) { auth in
                let found = try await find(user, auth.users)
                let count = try await auth.sessions.revokeAll(
                    ofUser: found.id,
                    reason: .revokedByAdmin,
                    actor: nil,
                    from: .commandLine
                )
                guard let count else { throw StartFailure("there is no user \(user)") }
                print("\(count) sessions revoked")
            }
        }
    }
}
