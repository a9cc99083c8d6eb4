// The ways in: what they share, and each of them.
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Storage

struct WaysIn: Sendable {
    let hasher: any PasswordHashingService
    let cookies: SessionCookiePolicy
    let signIn: SignIn
    let costs: PasswordCosts
    let passwords: Passwords

    init(
        _ database: any SQLDatabase,
        _ configuration: AuthConfiguration,
        _ clock: Clock,
        _ random: RandomSource,
        _ ids: IDGenerator,
        hasher: (any PasswordHashingService)?,
        throttle: Throttle,
        users: Users,
        sessions: Sessions,
        tokens: RefreshTokens,
        events: Events,
        audit: Audit
    ) {
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
            cookieLifetime: configuration.sessionAbsolute,
            devices: Devices(
                database: database,
                clock: clock,
                random: random,
                codec: DeviceMarkerCodec(ring: configuration.masterKeys)
            ),
            deviceCookies: DeviceCookiePolicy(publicURL: configuration.publicURL)
        )
        costs = PasswordCosts(database: database, clock: clock, random: random)
        passwords = Passwords(
            database: database,
            clock: clock,
            ids: ids,
            policy: PasswordPolicy(minimum: configuration.passwordMinimum),
            hasher: self.hasher,
            users: users,
            accounts: Accounts(database: database, ids: ids),
            costs: costs,
            signIn: signIn,
            throttle: throttle,
            events: events,
            audit: audit
        )
    }
}

extension AuthFeatures {
    var hasher: any PasswordHashingService { ways.hasher }
    var cookies: SessionCookiePolicy { ways.cookies }
    var signIn: SignIn { ways.signIn }
    var costs: PasswordCosts { ways.costs }
    var passwords: Passwords { ways.passwords }
}
