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
    let ways: WaysIn
    let clients: Clients
    let idempotency: IdempotencyKeys
    let epochs: EventEpochs
    let eventLog: EventLog
    let eventFeed: EventFeed
    let cleanup: CleanupRunner
    let recovery: Recovery

    /// Jobs, keys and the feed read past the shares of requests.
    init(
        database base: any SQLDatabase,
        configuration: AuthConfiguration,
        clock: Clock,
        random: RandomSource,
        logger: Logger,
        hasher: (any PasswordHashingService)?
    ) {
        let (events, audit) = (Events(), Audit())
        let ids = IDGenerator(random)
        let database = SharedDatabase(base)
        node = NodeFeatures(base, configuration, clock, ids, events, audit, logger)
        throttle = Throttle(database: database, clock: clock, isOn: configuration.rateLimits)
        var requests = configuration.requests
        if !configuration.rateLimits { requests.isOn = false }
        counters = RequestCounters(requests)
        users = Users(
            database: database,
            clock: clock,
            events: events,
            audit: audit,
            urlSchemes: configuration.allowsHTTPURLs ? [.https, .http] : [.https]
        )
        emailKeys = EmailKeys(database: base, clock: clock)
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
        userStates = UserStates(
            database: database,
            clock: clock,
            users: users,
            events: events,
            audit: audit,
            sessionIdle: configuration.sessionIdle
        )
        ways = WaysIn(
            database,
            configuration,
            clock,
            random,
            ids,
            hasher: hasher,
            throttle: throttle,
            users: users,
            sessions: sessions,
            tokens: tokens,
            events: events,
            audit: audit
        )
        clients = Clients(database: database, clock: clock, random: random, events: events, audit: audit)
        idempotency = IdempotencyKeys(database: database, clock: clock, ids: ids, ring: configuration.masterKeys)
        epochs = EventEpochs(database: base, clock: clock, random: random)
        eventLog = EventLog(database: base, epochs: epochs, clock: clock)
        eventFeed = EventFeed(log: eventLog, database: base, timing: configuration.eventFeed, logger: logger)
        cleanup = CleanupRunner(
            database: base,
            clock: clock,
            steps: AuthService.cleanupSteps(configuration),
            lease: .cleanup(holder: ids.name(), database: base, clock: clock),
            lastRunLabel: "tessera_cleanup_last_run_seconds"
        )
        recovery = Recovery(database: base, clock: clock, random: random)
    }
}
