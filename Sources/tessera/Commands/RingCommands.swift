// Shows the master ring of the deployment, and ends an entry of it.
import ArgumentParser
import AuthService
import Logging
import OpenSSLCrypto
import Storage

extension KeysCommand {
    struct RingStatus: TesseraCommand {
        static let configuration = CommandConfiguration(
            commandName: "ring-status",
            abstract: "Show the master keys that nodes have registered, the nodes, and what still needs each key.",
            discussion: """
                Keys are shown by id and fingerprint, never themselves. The first id of a node is the key that it makes new \
                tokens with. A node that runs an earlier program is not shown. docs/master-key.md has the order of rolling.
                """
        )
        @OptionGroup var options: CommonOptions

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withAuth(settings, logger: logger, mustSign: false) { auth in
                RingText.lines(try await auth.rings.status()).forEach { print($0) }
            }
        }
    }

    struct RingWithdraw: TesseraCommand {
        static let configuration = CommandConfiguration(
            commandName: "ring-withdraw",
            abstract: "End a master key: nothing that was made with it is good any more, on any node.",
            discussion: """
                Refused while a running node makes new tokens with it, and while signing keys or refresh tokens need it. It \
                cannot be taken back.
                """
        )
        @OptionGroup var options: CommonOptions
        @Argument(help: "The key's id, as ring-status shows it: two hexadecimal digits.") var id: String
        @Flag(
            help: """
                Withdraw it while it is in use. Users whose refresh tokens are derived from it must sign in again, and \
                signing keys that it seals are replaced, with the tokens that they signed.
                """
        )
        var loseTokens = false

        func run(_ settings: Settings, logger: Logger) async throws {
            guard let bytes = Hex.decode(id), bytes.count == 1 else {
                throw StartFailure("\(id) is not the id of a master key: two hexadecimal digits are")
            }
            try await withAuth(settings, logger: logger, mustSign: false) { auth in
                let use: RingUse
                do throws(RingError) {
                    use = try await auth.rings.withdraw(bytes[0], losing: loseTokens)
                } catch {
                    if case .inUse(let use) = error {
                        throw StartFailure("\(id): \(use); --lose-tokens withdraws it all the same, and they are lost")
                    }
                    use = try await Refusal.describing(about: id) { throw error }
                }
                print("\(id) is withdrawn\(use.isUnused ? "" : "; lost: \(use)")")
            }
        }
    }
}

enum RingText {
    static func lines(_ status: RingStatus) -> [String] {
        let entries = status.entries.map { entry, use in
            let id = Hex.encode([entry.keyID])
            let running = status.nodes.filter(\.isRunning).map(\.node)
            let holders = running.filter { $0.keyIDs.contains(id) }
            let first = running.filter { $0.primaryID == entry.keyID }
            let state =
                entry.withdrawnAt.map { "withdrawn \($0)" }
                ?? "held by \(holders.count) of \(running.count) running nodes, first on \(first.count)"
            return "key  \(id)  \(entry.fingerprint)  registered \(entry.registeredAt)  \(state)"
                + (entry.isLiving ? "  \(use.isUnused ? "unused" : use.description)" : "")
        }
        let nodes = status.nodes.map { node, isRunning in
            "node  \(node.name.isEmpty ? node.id : node.name)  keys \(node.keyIDs.joined(separator: ","))  "
                + "started \(node.startedAt)  seen \(node.seenAt)  \(isRunning ? "running" : "silent")"
        }
        return entries + nodes
    }
}
