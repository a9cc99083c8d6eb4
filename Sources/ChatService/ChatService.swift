// The chat service, put together. Reads like a table of contents: what there is, and where it is mounted.
package import Hummingbird
package import Logging
package import OpenSSLCrypto
package import ServiceLifecycle
package import Storage
package import TesseraVerifierHummingbird
package import WebSupport

/// One chat node. It holds no password and no private key: tokens are checked with auth's public ones.
package struct ChatService: Sendable {
    let conversations: Conversations
    let messages: Messages
    let usage: Usage
    let reservations: Reservations
    let changes: Changes
    let changeFeed: ChangeFeed
    /// Background work, for the process to run.
    package let services: [any Service]
    private let verifier: TokenVerifier
    private let health: HealthRoutes
    private let configuration: ChatConfiguration
    private let random: RandomSource

    /// Every statement of the service; the conformance suite executes each on both engines.
    package static let allStatements: [Statement] =
        PrincipalStatements.all + ConversationStatements.all + MessageStatements.all + UsageStatements.all
        + QuotaStanding.all + ReservationStatements.all + ChangeStatements.all

    /// Puts a node together. `keys` are the issuer's public keys, `revocations` what is known of tokens that were
    /// revoked, `isReady` throws while the database cannot be
    /// reached or its schema is not current, and `contract` is the text of `openapi.yaml`.
    package init(
        database: any SQLDatabase,
        configuration: ChatConfiguration,
        keys: any KeySource,
        revocations: (any RevocationSource)? = nil,
        isReady: @escaping @Sendable () async throws -> Void,
        contract: String,
        clock: Clock = .system,
        random: RandomSource = .system,
        logger: Logger
    ) {
        let changes = Changes(database: database, clock: clock)
        let changeFeed = ChangeFeed(changes: changes, limits: configuration.changeFeed, logger: logger)
        // Every unit that writes passes here, so that streams of this node hear of it at once.
        let database: any SQLDatabase = ChangeTellingDatabase(database, feed: changeFeed)
        let quotas = configuration.quotas
        self.changes = changes
        self.changeFeed = changeFeed
        self.conversations = Conversations(database: database, clock: clock, random: random, quotas: quotas)
        self.messages = Messages(database: database, clock: clock, random: random, quotas: quotas)
        self.usage = Usage(database: database, clock: clock, quotas: quotas)
        self.reservations = Reservations(database: database, clock: clock, random: random, quotas: quotas)
        self.services = [
            ChangeNotices(feed: changeFeed, changes: changes, logger: logger),
            ChangeCleanup(
                changes: changes,
                retention: configuration.changeRetention,
                interval: configuration.cleanupInterval,
                logger: logger
            ),
        ]
        self.verifier = TokenVerifier(
            requirements: TokenRequirements(
                issuer: configuration.issuer,
                audience: configuration.audience,
                clock: { clock.now().seconds }
            ),
            keys: keys,
            revocations: revocations
        )
        self.health = HealthRoutes(service: "chat", contract: contract, isReady: isReady)
        self.configuration = configuration
        self.random = random
    }

    package func buildRouter() -> Router<ChatRequestContext> {
        let router = Router(context: ChatRequestContext.self, options: .autoGenerateHeadEndpoints)
        let routes = RouteTable()
        router.add(middleware: RequestIDMiddleware(random: random))
        router.add(middleware: RequestLogMiddleware(service: "chat"))
        router.add(middleware: CORSMiddleware(origins: configuration.corsOrigins))
        router.add(middleware: ErrorMiddleware(routes: routes))
        router.add(middleware: ClientAddressMiddleware(trustedProxies: configuration.trustedProxies))

        health.mount(on: router.group())

        let authenticated = router.group("v1")
            .add(
                middleware: TokenVerifierMiddleware(
                    verifier: verifier,
                    mode: .required,
                    requireUser: true,
                    failure: TokenRefusal.apiError
                )
            )
        ConversationRoutes(conversations: conversations, messages: messages).mount(on: authenticated)
        MessageRoutes(messages: messages).mount(on: authenticated)
        UsageRoutes(usage: usage, reservations: reservations).mount(on: authenticated)
        ChangeRoutes(changes: changes, feed: changeFeed, verifier: verifier).mount(on: authenticated)

        routes.fill(from: router)
        return router
    }
}
