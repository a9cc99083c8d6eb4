// One auth node: its values and background services. `+Features` builds it, `+Routes` mounts it.
package import Logging
package import OpenSSLCrypto
package import ServiceKit
package import ServiceLifecycle
package import Storage

package struct AuthService: Sendable {
    let features: AuthFeatures
    let trust: AuthTrust
    let configuration: AuthConfiguration
    let clock: Clock
    let random: RandomSource
    let logger: Logger
    /// Throws while the database is unreachable or its schema is not current.
    let isReady: @Sendable () async throws -> Void
    let contract: String

    /// Always changes one row, for `/readyz`.
    package static func writeProbe(at now: Instant) -> Transaction { CleanupStatements.writeProbe(at: now) }

    /// The default `hasher` follows the configuration. A service that need not sign starts with any master ring, for
    /// commands that show or mend the keys.
    package init(
        database base: any SQLDatabase,
        configuration: AuthConfiguration,
        isReady: @escaping @Sendable () async throws -> Void,
        contract: String,
        clock: Clock = .system,
        random: RandomSource = .system,
        logger: Logger,
        hasher: (any PasswordHashingService)? = nil,
        mustSign: Bool = true
    ) async throws {
        let revocations = InProcessRevocations(
            clock: clock,
            tokenLifetime: configuration.accessTokenLifetime,
            maxLag: configuration.eventFeed.heartbeatMaxLag,
            logger: logger
        )
        features = AuthFeatures(
            database: EventAppendObserver(base: base) { revocations.appended() },
            configuration: configuration,
            clock: clock,
            random: random,
            logger: logger,
            hasher: hasher
        )
        trust = AuthTrust(features, revocations: revocations, configuration: configuration, clock: clock)
        self.configuration = configuration
        self.clock = clock
        self.random = random
        self.logger = logger
        self.isReady = isReady
        self.contract = contract
        try await features.keys.start(mustSign: mustSign)
        try await features.costs.load()
    }

    package var users: Users { features.users }
    package var emailKeys: EmailKeys { features.emailKeys }
    package var userStates: UserStates { features.userStates }
    package var passwords: Passwords { features.passwords }
    package var passwordCosts: PasswordCosts { features.costs }
    package var sessions: Sessions { features.sessions }
    package var clients: Clients { features.clients }
    package var cleanup: CleanupRunner { features.cleanup }
    package var epochs: EventEpochs { features.epochs }
    package var recovery: Recovery { features.recovery }
    package var following: RevocationFollowing { trust.following }
    /// The client's audiences that no user's token has: its introspection finds every user's token inactive.
    package func audiencesWithoutUsers(of client: Client) -> [String] {
        client.audiences.filter { !configuration.audiences.contains($0) }
    }
    package var followers: Int { features.eventFeed.count }

    package var services: [any Service] {
        [
            features.hasher,
            trust.following,
            KeyMaintenance(keys: keys, ring: ring, logger: logger),
            EmailKeyService(keys: emailKeys, logger: logger),
            PasswordCostService(costs: features.costs, logger: logger),
            CleanupService(cleanup: cleanup, interval: configuration.cleanupInterval, logger: logger),
        ]
    }

    /// The conformance suite executes each on both engines.
    package static let allStatements: [Statement] = [
        UserStatements.all, UserListStatements.all, UserStateStatements.all, EmailKeyStatements.all,
        AccountStatements.all, PasswordCostStatements.all,
        SessionStatements.all, SessionListStatements.all, SessionCleanupStatements.all, GlobalVersionStatements.all,
        RefreshTokenStatements.all, DeletedUserTokenStatements.all, SigningKeyStatements.all, EventStatements.all,
        EventLogStatements.all, AuditStatements.all, ThrottleStatements.all, NetworkFailureStatements.all,
        DeviceStatements.all, CleanupStatements.all, ClientStatements.all, IdempotencyStatements.all,
        RingStatements.all, WeakSettingStatements.all,
    ].flatMap(\.self)

    /// Unneeded rows, in the order of removal.
    static func cleanupSteps(_ configuration: AuthConfiguration) -> [CleanupStep] {
        [
            SessionCleanupStatements.marking,
            RefreshTokenStatements.cleanup,
            DeletedUserTokenStatements.cleanup,
            SessionCleanupStatements.removal(tokenLifetime: configuration.accessTokenLifetime),
            ThrottleStatements.cleanup,
            DeviceStatements.cleanup,
            ClientStatements.cleanup,
            IdempotencyStatements.cleanup,
            EventLogStatements.cleanup(retention: configuration.eventRetention),
            AuditStatements.cleanup(retention: configuration.auditRetention),
        ]
    }
}
