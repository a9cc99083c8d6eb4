// One chat node: its values. `+Features` builds it, `+Areas` lists what its areas declare, `+Services` runs beside its
// server, `+Routes` mounts it.
package import Logging
package import OpenSSLCrypto
package import ServiceKit
package import Storage
package import TesseraVerifierHummingbird

/// One chat node. It has no password and no private key: it verifies tokens with auth's public keys.
package struct ChatService: Sendable {
    let features: ChatFeatures
    let verifier: TokenVerifier
    let userEvents: UserEventFeed?
    let configuration: ChatConfiguration
    let clock: Clock
    let random: RandomSource
    let logger: Logger
    /// Throws while the database is unreachable or its schema is not current.
    let isReady: @Sendable () async throws -> Void
    let contract: String

    /// Always changes one row, for `/readyz`.
    package static func writeProbe(at now: Instant) -> Transaction { LeaseStatements.writeProbe(at: now) }

    /// - `keys`: the issuer's public keys.
    /// - `revocations`: the known revocations.
    /// - `userEvents`: auth's events about users.
    /// - `isReady`: throws while the database is unreachable or its schema is not current.
    /// - `contract`: the text of `openapi.yaml`.
    package init(
        database: any SQLDatabase,
        configuration: ChatConfiguration,
        keys: any KeySource,
        revocations: (any RevocationSource)? = nil,
        userEvents: UserEventFeed? = nil,
        isReady: @escaping @Sendable () async throws -> Void,
        contract: String,
        clock: Clock = .system,
        random: RandomSource = .system,
        logger: Logger
    ) {
        features = ChatFeatures(
            database: database,
            configuration: configuration,
            clock: clock,
            random: random,
            logger: logger
        )
        verifier = TokenVerifier(
            requirements: TokenRequirements(
                issuer: configuration.issuer,
                audience: configuration.audience,
                clock: { clock.now().seconds }
            ),
            keys: keys,
            revocations: revocations
        )
        self.userEvents = userEvents
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.logger = logger
        self.isReady = isReady
        self.contract = contract
    }

    /// Whether this node learns of users that auth deletes or deactivates.
    var isFollowing: Bool { userEvents != nil }
    static let notFollowing = "not_following"

    package var erasures: Erasures { features.erasures }
    /// For `tessera search`.
    package var searchCommands: SearchCommands { features.searchCommands }
    /// For the service itself, and for `tessera cleanup`.
    package var cleanup: CleanupRunner { features.cleanup }
}
