package import Hummingbird
package import Logging
package import OpenSSLCrypto
package import ServiceKit
package import ServiceLifecycle
package import Storage
package import TesseraVerifierHummingbird

/// One chat node. It has no password and no private key: it verifies tokens with auth's public keys.
package struct ChatService: Sendable {
    let conversations: Conversations
    let messages: Messages
    let database: any SQLDatabase
    let clock: Clock
    package let erasures: Erasures
    let blocked = BlockedPrincipals()
    package let services: [any Service]
    let usage: Usage
    let reservations: Reservations
    let changes: Changes
    let changeFeed: ChangeFeed
    let search: Search
    let tags: Tags
    let votes: Votes
    let trash: Trash
    let forks: Forks
    /// For `tessera search`.
    package let searchCommands: SearchCommands
    /// For the service itself, and for `tessera cleanup`.
    package let cleanup: CleanupRunner
    private let logger: Logger
    private let verifier: TokenVerifier
    private let health: HealthRoutes
    private let configuration: ChatConfiguration
    private let random: RandomSource

    /// The conformance suite executes each on both engines.
    package static let allStatements: [Statement] =
        PrincipalStatements.all + ConversationStatements.all + MessageStatements.all + TagStatements.all
        + VoteStatements.all + IdempotencyStatements.all + UsageStatements.all + QuotaUsage.all
        + ReservationStatements.all + ChangeStatements.all + MirrorStatements.all + LeaseStatements.all
        + ErasureStatements.all + ExportStatements.all + AdminDataStatements.all + SearchStatements.all
        + SearchBackfillStatements.all

    /// What nothing can need any more, in the order in which it goes.
    static func cleanupSteps(trash: Trash, changeRetention: Duration) -> [CleanupStep] {
        [
            IdempotencyStatements.cleanup, ReservationStatements.cleanup,
            ChangeStatements.cleanup(retention: changeRetention),
        ] + trash.cleanup
    }

    /// Always changes one row, for `/readyz`.
    package static func writeProbe(at now: Instant) -> BoundStatement { LeaseStatements.writeProbe(at: now) }

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
        // A damaged index must not refuse a write.
        let guarded = SearchFaultGuard(base: database, logger: logger)
        let node = Hex.encode(random.bytes(8))
        // The change feed ignores writes to an index.
        let searchMaintenance = SearchMaintenanceService(
            database: guarded,
            clock: clock,
            lease: JobLease("search", holder: node, database: guarded, clock: clock),
            logger: logger
        )
        let changes = Changes(database: guarded, clock: clock)
        let changeFeed = ChangeFeed(changes: changes, limits: configuration.changeFeed, logger: logger)
        // Every writing transaction passes here, so that this node's streams are woken at once.
        let database: any SQLDatabase = ChangeNotifyingDatabase(guarded, feed: changeFeed)
        let quotas = configuration.quotas
        self.changes = changes
        self.changeFeed = changeFeed
        let conversations = Conversations(database: database, clock: clock, random: random, quotas: quotas)
        let trash = Trash(
            database: database,
            clock: clock,
            conversations: conversations,
            retention: configuration.trashRetention
        )
        self.conversations = conversations
        self.trash = trash
        self.forks = Forks(
            database: database,
            clock: clock,
            random: random,
            conversations: conversations,
            trash: trash
        )
        self.tags = Tags(database: database, clock: clock, random: random, conversations: conversations)
        self.votes = Votes(database: database, clock: clock)
        self.search = Search(database: database, clock: clock)
        self.searchCommands = SearchCommands(database: database, clock: clock, random: random)
        self.cleanup = CleanupRunner(
            database: database,
            clock: clock,
            steps: Self.cleanupSteps(trash: trash, changeRetention: configuration.changeRetention),
            lease: JobLease("cleanup", holder: node, database: database, clock: clock),
            lastRunLabel: "tessera_chat_cleanup_last_run_seconds"
        )
        self.messages = Messages(database: database, clock: clock, random: random, quotas: quotas)
        self.usage = Usage(database: database, clock: clock, quotas: quotas)
        self.reservations = Reservations(database: database, clock: clock, random: random, quotas: quotas)
        self.database = database
        self.clock = clock
        self.logger = logger
        let erasures = Erasures(database: database, blocked: blocked, clock: clock, random: random, logger: logger)
        self.erasures = erasures
        var services: [any Service] = [
            BlockedPrincipalsWatch(blocked: blocked, database: database, clock: clock, logger: logger),
            ErasureService(
                erasures: erasures,
                lease: JobLease("erasures", holder: node, database: database, clock: clock),
                logger: logger
            ),
            ChangeNotices(feed: changeFeed, changes: changes, logger: logger),
            ChatCleanupService(cleanup: cleanup, interval: configuration.cleanupInterval, logger: logger),
            searchMaintenance,
        ]
        if let userEvents {
            let mirror = UserMirror(
                database: database,
                source: userEvents.pages,
                beginErasure: { erasures.begin($0, .userDeleted, by: nil, at: $1) },
                blocked: blocked,
                clock: clock,
                random: random,
                logger: logger
            )
            services.append(
                MirrorService(
                    mirror: mirror,
                    news: userEvents.news,
                    lease: JobLease("auth_feed", holder: node, database: database, clock: clock),
                    logger: logger
                )
            )
        }
        self.services = services
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
        DataRoutes(erasures: erasures).mount(on: authenticated)

        // All other routes of a person's own data.
        let admitted = authenticated.group().add(middleware: BlockedPrincipalsMiddleware(blocked: blocked))
        ConversationRoutes(conversations: conversations, trash: trash).mount(on: admitted)
        TrashRoutes(trash: trash).mount(on: admitted)
        ForkRoutes(forks: forks).mount(on: admitted)
        MessageRoutes(messages: messages).mount(on: admitted)
        VoteRoutes(votes: votes).mount(on: admitted)
        TagRoutes(tags: tags).mount(on: admitted)
        SearchRoutes(search: search).mount(on: admitted)
        UsageRoutes(usage: usage, reservations: reservations).mount(on: admitted)
        ChangeRoutes(changes: changes, feed: changeFeed, verifier: verifier, blocked: blocked).mount(on: admitted)
        ExportRoutes(
            database: database,
            clock: clock,
            slots: ExportSlots(limits: configuration.exports),
            verifier: verifier,
            blocked: blocked
        ).mount(on: admitted)

        let admin = admitted.group("chat/admin")
            .add(middleware: ClaimRequirementMiddleware(.role("admin"), failure: TokenRefusal.apiError))
        AdminDataRoutes(database: database, erasures: erasures, logger: logger).mount(on: admin)

        routes.fill(from: router)
        return router
    }
}
