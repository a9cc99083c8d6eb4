import ArgumentParser
import AuthService
import Logging
import Storage

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "List, rotate and retire signing keys; show and end master keys.",
        subcommands: [List.self, Rotate.self, Retire.self, RingStatus.self, RingWithdraw.self]
    )

    static func show(_ keys: SigningKeys) async throws {
        for key in try await keys.list() {
            print("\(key.kid)  \(key.algorithm)  \(key.state)  created \(key.createdAt)")
        }
    }

    struct List: TesseraCommand {
        static let configuration = CommandConfiguration(abstract: "Show every key and its state; never a private one.")
        @OptionGroup var options: CommonOptions

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger, mustSign: false) { try await show($0.keys) }
        }
    }

    struct Rotate: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sign with the next key from now on.",
            discussion: "Refused until every verifier can know the next key: 15 minutes after it was published."
        )
        @OptionGroup var options: CommonOptions

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger, mustSign: false) { auth in
                try await Refusal.describing { try await auth.keys.rotate() }
                try await show(auth.keys)
            }
        }
    }

    struct Retire: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a key out of the JWKS. Tokens it signed are refused from then on."
        )
        @OptionGroup var options: CommonOptions
        @Argument(help: "The key's id.") var kid: String
        @Flag(help: "The key may be known to others: retire it even if it is the current one, and say so in the feed.")
        var compromised = false

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger, mustSign: false) { auth in
                try await Refusal.describing(about: kid) { try await auth.keys.retire(kid, compromised: compromised) }
                try await show(auth.keys)
            }
        }
    }
}
