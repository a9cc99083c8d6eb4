// The features of a node, from the bottom up: each receives those below it.
import Logging
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Storage

struct AuthFeatures: Sendable {
    let node: NodeFeatures
    let throttle: Throttle
    let counters: RequestCounters
    let users: Users
    let emailKeys: EmailKeys
    let sessions: Sessions
    let accessTokens: AccessTokens
    let tokens: RefreshTokens
    let userStates: UserStates
    let hasher: any PasswordHashingService
    let cookies: SessionCookiePolicy
    let signIn: SignIn
    let passwords: Passwords
    let clients: Clients
    let epochs: EventEpochs
    let eventLog: EventLog
    let eventFeed: EventFeed
    let cleanup: CleanupRunner
    let recovery: Recovery

    init(
        database: any SQLDatabase,
        configuration: AuthConfiguration,
        clock: Clock,
        random: RandomSource,
        logger: Logger,
        hasher: (any PasswordHashingService)?
    ) {
        let (events, audit) = (Events(), Audit())
        let ids = IDGenerator(random)
        node = NodeFeatures(database, configuration, clock, ids, events, audit, logger)
        throttle = Throttle(database: database, clock: clock, isOn: configuration.rateLimits)
        var requests = configuration.requests
        if !configuration.rateLimits { requests.isOn = false }
        counters = RequestCounters(requests)
        users = Users(database: database, clock: clock, events: events, audit: audit)
        emailKeys = EmailKeys(database: database, clock: clock)
        sessions = Sessions(
            database: database,
            clock: clock,
            ids: ids,
            lifetime: SessionLifetime(idle: configuration.sessionIdle, absolute: configuration.sessionAbsolute),
            users: users,
            events: events,
            audit: audit
        )
        accessTokens = AccessTokens(
            keys: node.keys,
            issuer: configuration.issuer,
            audiences: configuration.audiences,
            lifetime: configuration.accessTokenLifetime,
            random: random
        )
        tokens = RefreshTokens(
            database: database,
            clock: clock,
            random: random,
            codec: RefreshTokenCodec(ring: configuration.masterKeys),
            ring: node.ring,
            accessTokens: accessTokens,
            sessions: sessions,
            grace: configuration.refreshGrace
        )
        userStates = UserStates(database: database, clock: clock, users: users, events: events, audit: audit)
        self.hasher =
            hasher
            ?? PasswordHasher(
                parameters: configuration.argon2,
                threads: configuration.hashThreads,
                queueLimit: configuration.hashQueue,
                random: random
            )
        cookies = SessionCookiePolicy(publicURL: configuration.publicURL)
        signIn = SignIn(
            database: database,
            clock: clock,
            random: random,
            throttle: throttle,
            users: users,
            sessions: sessions,
            tokens: tokens,
            audit: audit,
            cookies: cookies,
            cookieLifetime: configuration.sessionAbsolute
        )
        passwords = Passwords(
            database: database,
            clock: clock,
            ids: ids,
            policy: PasswordPolicy(minimum: configuration.passwordMinimum),
            hasher: self.hasher,
            users: users,
            accounts: Accounts(database: database, ids: ids),
            signIn: signIn,
            throttle: throttle,
            events: events,
            audit: audit
        )
        clients = Clients(database: database, clock: clock, random: random, events: events, audit: audit)
        epochs = EventEpochs(database: database, clock: clock, random: random)
        eventLog = EventLog(database: database, epochs: epochs, clock: clock)
        eventFeed = EventFeed(log: eventLog, database: database, timing: configuration.eventFeed, logger: logger)
        cleanup = CleanupRunner(
            database: database,
            clock: clock,
            steps: AuthService.cleanupSteps(configuration),
            lease: .cleanup(holder: ids.name(), database: database, clock: clock),
            lastRunLabel: "tessera_cleanup_last_run_seconds"
        )
        recovery = Recovery(database: database, clock: clock, random: random)
    }
}
