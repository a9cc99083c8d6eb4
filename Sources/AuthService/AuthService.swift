// The auth service, put together. Reads like a table of contents: what there is, and where it is mounted.
package import Hummingbird
package import Logging
package import OpenSSLCrypto
import PasswordHashing
package import ServiceKit
package import ServiceLifecycle
package import Storage
import TesseraVerifierHummingbird

/// One auth node.
package struct AuthService: Sendable {
    package let users: Users
    package let userStates: UserStates
    package let passwords: Passwords
    package let sessions: Sessions
    package let keys: SigningKeys
    package let clients: Clients
    package let cleanup: Cleanup
    package let epochs: EventEpochs
    package let recovery: Recovery
    private let eventLog: EventLog
    private let eventFeed: EventFeed
    private let tokens: Tokens
    private let accessTokens: AccessTokens
    private let clock: Clock
    private let throttle: Throttle
    private let verifier: TokenVerifier
    /// Judges tokens that others were sent.
    private let asked: AskedTokens
    /// Keeps what `asked` judges by current.
    package let following: RevocationFollowing
    private let hasher: PasswordHasher
    private let health: HealthRoutes
    private let configuration: AuthConfiguration
    private let random: RandomSource
    private let logger: Logger

    /// Every statement of the service; the conformance suite executes each on both engines.
    package static let allStatements: [Statement] =
        UserStatements.all + UserListStatements.all + UserStateStatements.all + AccountStatements.all
        + SessionStatements.all + SessionListStatements.all + SessionCleanupStatements.all
        + GlobalVersionStatements.all + RefreshTokenStatements.all + SigningKeyStatements.all + EventStatements.all
        + EventLogStatements.all + AuditStatements.all + ThrottleStatements.all + CleanupStatements.all
        + ClientStatements.all

    /// `isReady`: throws while the database cannot be reached or its schema is not current.
    /// `contract`: the text of `openapi.yaml`.
    /// `afterVerification`: called between the check of a password and the unit that relies on it.
    package init(
        database base: any SQLDatabase,
        configuration: AuthConfiguration,
        isReady: @escaping @Sendable () async throws -> Void,
        contract: String,
        clock: Clock = .system,
        random: RandomSource = .system,
        logger: Logger,
        afterVerification: @escaping @Sendable () async -> Void = {}
    ) async throws {
        let revocations = FollowedRevocations(
            clock: clock,
            tokenLifetime: configuration.accessTokenLifetime,
            patience: configuration.eventFeed.vouch,
            logger: logger
        )
        let database = AppendNotingDatabase(base: base) { revocations.appended() }
        let events = Events()
        let audit = Audit()
        let keys = SigningKeys(database: database, clock: clock, configuration: configuration, events: events)
        let users = Users(database: database, clock: clock, random: random, events: events, audit: audit)
        let clients = Clients(database: database, clock: clock, random: random, events: events, audit: audit)
        let accounts = Accounts(database: database, random: random)
        let sessions = Sessions(
            database: database,
            clock: clock,
            random: random,
            lifetime: SessionLifetime(idle: configuration.sessionIdle, absolute: configuration.sessionAbsolute),
            users: users,
            events: events,
            audit: audit
        )
        let accessTokens = AccessTokens(
            keys: keys,
            issuer: configuration.issuer,
            audiences: configuration.audiences,
            lifetime: configuration.accessTokenLifetime,
            random: random
        )
        let tokens = Tokens(
            database: database,
            clock: clock,
            random: random,
            codec: RefreshTokenCodec(ring: configuration.masterKeys),
            accessTokens: accessTokens,
            sessions: sessions,
            grace: configuration.refreshGrace
        )
        let hasher = PasswordHasher(
            parameters: configuration.argon2,
            threads: configuration.hashThreads,
            queueLimit: configuration.hashQueue,
            random: random
        )
        self.users = users
        self.userStates = UserStates(
            database: database,
            clock: clock,
            users: users,
            events: events,
            audit: audit
        )
        self.sessions = sessions
        self.tokens = tokens
        self.accessTokens = accessTokens
        self.clients = clients
        self.clock = clock
        self.keys = keys
        self.hasher = hasher
        self.passwords = Passwords(
            database: database,
            clock: clock,
            random: random,
            policy: PasswordPolicy(minimum: configuration.passwordMinimum),
            hasher: hasher,
            users: users,
            accounts: accounts,
            sessions: sessions,
            tokens: tokens,
            events: events,
            audit: audit,
            afterVerification: afterVerification
        )
        self.cleanup = Cleanup(
            database: database,
            clock: clock,
            steps: Self.cleanupSteps(configuration),
            holder: Hex.encode(random.bytes(8))
        )
        let epochs = EventEpochs(database: database, clock: clock, random: random)
        let eventLog = EventLog(database: database, epochs: epochs, clock: clock)
        self.epochs = epochs
        self.recovery = Recovery(database: database, clock: clock, random: random)
        self.eventLog = eventLog
        self.eventFeed = EventFeed(
            log: eventLog,
            database: database,
            timing: configuration.eventFeed,
            logger: logger
        )
        self.throttle = Throttle(database: database, clock: clock, isOn: configuration.rateLimits)
        let localKeys = LocalKeySource(keys: keys, clock: clock)
        let rows = TokenLookup(sessions: SessionLookup(sessions: sessions, clock: clock), clients: clients)
        var requirements = TokenRequirements(
            issuer: configuration.issuer,
            audience: AuthConfiguration.ownAudience,
            clock: { clock.now().seconds }
        )
        // Decision 0015: what acts on a session asks its row; what gateways and services ask about is judged from memory.
        self.verifier = TokenVerifier(requirements: requirements, keys: localKeys, lookup: rows)
        requirements.demandsAudience = false
        self.asked = AskedTokens(
            TokenVerifier(requirements: requirements, keys: localKeys),
            revocations: revocations,
            rows: rows
        )
        self.following = RevocationFollowing(
            revocations: revocations,
            log: eventLog,
            keys: keys,
            clientEnded: { clients.forgetRecent($0) }
        )
        self.health = HealthRoutes(
            service: "auth",
            contract: contract,
            isReady: {
                try await isReady()
                // After a restart it knows what was revoked before it says that it is ready.
                if revocations.isReadingFirst { throw APIError.retry(.revocationsUnavailable, afterSeconds: 1) }
            }
        )
        self.configuration = configuration
        self.random = random
        self.logger = logger
        try await keys.reload()
    }

    /// What nothing can need any more, in the order in which it goes.
    private static func cleanupSteps(_ configuration: AuthConfiguration) -> [CleanupStep] {
        [
            SessionCleanupStatements.marking,
            RefreshTokenStatements.cleanup,
            SessionCleanupStatements.removal(tokenLifetime: configuration.accessTokenLifetime),
            ThrottleStatements.cleanup,
            ClientStatements.cleanup,
            EventLogStatements.cleanup(retention: configuration.eventRetention),
            AuditStatements.cleanup(retention: configuration.auditRetention),
        ]
    }

    /// How many streams of events this node sends.
    package var followers: Int { eventFeed.count }

    /// What runs beside the server.
    package var services: [any Service] {
        [
            hasher,
            following,
            KeyMaintenance(keys: keys, logger: logger),
            CleanupService(cleanup: cleanup, interval: configuration.cleanupInterval, logger: logger),
        ]
    }

    package func buildRouter() -> Router<AuthRequestContext> {
        let router = Router(context: AuthRequestContext.self, options: .autoGenerateHeadEndpoints)
        let routes = RouteTable()
        let cookies = SessionCookiePolicy(publicURL: configuration.publicURL)
        router.add(middleware: RequestIDMiddleware(random: random))
        router.add(middleware: RequestLogMiddleware(service: "auth"))
        router.add(middleware: CORSMiddleware(origins: configuration.corsOrigins))
        router.add(middleware: ErrorMiddleware(routes: routes))
        router.add(middleware: ClientAddressMiddleware(trustedProxies: configuration.trustedProxies))
        let csrf = CSRFMiddleware(
            cookies: cookies,
            publicURL: configuration.publicURL,
            corsOrigins: configuration.corsOrigins
        )
        router.add(middleware: csrf)

        let passwordRoutes = PasswordRoutes(
            passwords: passwords,
            users: users,
            throttle: throttle,
            cookies: cookies,
            random: random,
            sessionMaxAge: configuration.sessionAbsolute
        )
        let sessionRoutes = SessionRoutes(sessions: sessions, tokens: tokens, verifier: verifier, cookies: cookies)

        let root = router.group()
        health.mount(on: root)
        KeyRoutes(keys: keys).mount(on: root)
        DiscoveryRoutes(
            issuer: configuration.issuer,
            publicURL: configuration.publicURL,
            algorithm: configuration.signingAlgorithm
        ).mount(on: root)

        let open = router.group("v1")
        passwordRoutes.mount(on: open)
        let refreshGrant = RefreshGrant(tokens: tokens, throttle: throttle)
        TokenRoutes(refreshGrant: refreshGrant).mount(on: open)
        sessionRoutes.mount(on: open)

        let oauth = router.group("oauth2").add(middleware: OAuthErrorMiddleware())
        let clientAuthentication = ClientAuthentication(
            clients: clients,
            throttle: throttle,
            assertions: ClientAssertions(
                clients: clients,
                audiences: [configuration.issuer, "\(configuration.publicURL)/oauth2/token"]
            )
        )
        OAuthTokenRoutes(
            authentication: clientAuthentication,
            accessTokens: accessTokens,
            refreshGrant: refreshGrant,
            clock: clock
        ).mount(on: oauth)
        var introspecting = clientAuthentication
        introspecting.takesRecent = true
        IntrospectionRoutes(
            authentication: introspecting,
            asked: asked,
            tokens: tokens,
            issuer: configuration.issuer
        ).mount(on: oauth)
        RevocationRoutes(
            authentication: clientAuthentication,
            verifier: verifier,
            sessions: sessions,
            tokens: tokens
        ).mount(on: oauth)

        ValidateRoutes(asked: asked, sessions: sessions, cookies: cookies, csrf: csrf).mount(on: open)

        let authenticated = router.group("v1")
            .add(
                middleware: TokenVerifierMiddleware(
                    verifier: verifier,
                    mode: .optional,
                    failure: { TokenFailures.apiError($0) }
                )
            )
            .add(middleware: CallerMiddleware(sessions: sessions, cookies: cookies))
        passwordRoutes.mountAuthenticated(on: authenticated)
        sessionRoutes.mountAuthenticated(on: authenticated)
        MeRoutes(users: users).mountAuthenticated(on: authenticated)
        let stateRoutes = UserStateRoutes(users: users, states: userStates, cookies: cookies)
        stateRoutes.mountAuthenticated(on: authenticated)

        // For services, with tokens of their own.
        let trusted = router.group("v1")
            .add(
                middleware: TokenVerifierMiddleware(
                    verifier: verifier,
                    requireUser: false,
                    failure: { TokenFailures.apiError($0) }
                )
            )
        EventRoutes(log: eventLog, feed: eventFeed, retention: configuration.eventRetention)
            .mount(on: trusted.group().add(middleware: ScopeMiddleware(scope: EventRoutes.scope)))

        let admin = authenticated.group("admin").add(middleware: RoleMiddleware(role: .admin))
        AdminUserRoutes(users: users).mount(on: admin)
        stateRoutes.mountAdmin(on: admin)
        passwordRoutes.mountAdmin(on: admin)
        AdminSessionRoutes(users: users, sessions: sessions).mount(on: admin)
        AdminKeyRoutes(keys: keys).mount(on: admin)
        AdminClientRoutes(clients: clients).mount(on: admin)
        CleanupRoutes(cleanup: cleanup).mount(on: admin)

        routes.fill(from: router)
        return router
    }
}
