import AuthService
import ChatService
import Embedded
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import ServiceLifecycle
import Storage
import Synchronization
import TesseraVerifierHummingbird
import TestSupport
import Testing

/// A clock that a test sets. Each read adds a microsecond, so that rows have an order.
final class FixtureClock: Sendable {
    private let instant: Mutex<Instant>

    init(_ instant: Instant) { self.instant = Mutex(instant) }

    var now: Instant { instant.withLock { $0 } }

    func set(_ new: Instant) { instant.withLock { $0 = new } }

    func advance(_ duration: Duration) { instant.withLock { $0 = $0 + duration } }

    var clock: Clock {
        Clock {
            self.instant.withLock { instant in
                instant = instant + .microseconds(1)
                return instant
            }
        }
    }
}

struct Upgraded: Sendable {
    let facts: Facts
    let clock: FixtureClock
    let auth: Service
    let chat: Service

    struct Service: Sendable {
        let client: any TestClientProtocol
        let database: any SQLDatabase

        func send(
            _ method: HTTPRequest.Method,
            _ path: String,
            _ body: String? = nil,
            token: String? = nil,
            headers: [String: String] = [:]
        ) async throws -> Answer {
            var fields: HTTPFields = [:]
            for (name, value) in headers { fields[try #require(HTTPField.Name(name))] = value }
            if body != nil, fields[.contentType] == nil { fields[.contentType] = "application/json" }
            if let token { fields[.authorization] = "Bearer \(token)" }
            let content = body.map { ByteBuffer(string: $0) }
            return try await client.execute(uri: path, method: method, headers: fields, body: content) {
                Answer(status: Int($0.status.code), headers: $0.headers, text: String(buffer: $0.body))
            }
        }

        /// `rows`: a table, or one with a condition.
        func count(_ rows: String) async throws -> Int {
            let statement = Statement("upgrade.count", .reads, [:], "SELECT COUNT(*) AS n FROM \(rows)")
            return try #require(try await database.run(statement.bind()).first).int("n")
        }
    }

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPFields
        let text: String

        var json: JSON { (try? JSON(parsing: text)) ?? .null }
        /// The code of a problem, or of OAuth.
        var code: String? { json["code"].string ?? json["error"].string }
        var lines: [JSON] { text.split(separator: "\n").map { (try? JSON(parsing: String($0))) ?? .null } }
    }
}

func withUpgraded(
    _ fixture: Fixture,
    _ engine: TestEngine,
    later: Duration = .zero,
    running: Set<String> = [],
    _ body: @Sendable @escaping (Upgraded) async throws -> Void
) async throws {
    let facts = try fixture.facts(engine)
    let clock = FixtureClock(try Facts.instant(facts.madeAt) + later)
    try await fixture.withRows(engine, "auth") { authRows async throws in
        try await fixture.withRows(engine, "chat") { chatRows async throws in
            try await withAuth(facts, authRows, clock, running.contains("auth")) { auth in
                try await withChat(facts, chatRows, clock, running.contains("chat"), auth) { chat in
                    try await body(Upgraded(facts: facts, clock: clock, auth: auth, chat: chat))
                }
            }
        }
    }
}

private var quiet: Logger {
    var logger = Logger(label: "test.upgrade")
    logger.logLevel = .critical
    return logger
}

private func withAuth(
    _ facts: Facts,
    _ database: any SQLDatabase,
    _ clock: FixtureClock,
    _ withServices: Bool,
    _ body: @Sendable @escaping (Upgraded.Service) async throws -> Void
) async throws {
    try await Migrator.testing(service: "auth", migrations: EmbeddedFile.migrations()).up(database)
    var configuration = AuthConfiguration(
        publicURL: facts.publicUrl,
        masterKeys: try MasterKeyRing(base64Ring: facts.masterKey)
    )
    configuration.accessTokenLifetime = .seconds(facts.accessTokenSeconds)
    configuration.argon2 = Argon2Parameters(memoryKiB: 64, iterations: 1, parallelism: 1)
    configuration.cleanupInterval = .milliseconds(200)
    let service = try await AuthService(
        database: database,
        configuration: configuration,
        isReady: {},
        contract: "",
        clock: clock.clock,
        logger: quiet
    )
    var application = Application(
        router: service.buildRouter(),
        configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        logger: quiet
    )
    if withServices { application.addServices(service.services) }
    try await application.test(.live) { client in
        let auth = Upgraded.Service(client: client, database: database)
        // The revocations are known.
        try await eventually("auth is ready") { try await auth.send(.get, "/readyz").status == 200 }
        try await body(auth)
    }
}

private func withChat(
    _ facts: Facts,
    _ database: any SQLDatabase,
    _ clock: FixtureClock,
    _ withServices: Bool,
    _ auth: Upgraded.Service,
    _ body: @Sendable @escaping (Upgraded.Service) async throws -> Void
) async throws {
    try await Migrator.testing(service: "chat", migrations: EmbeddedFile.migrations()).up(database)
    var configuration = ChatConfiguration(publicURL: facts.chatUrl, issuer: facts.publicUrl)
    configuration.cleanupInterval = .milliseconds(200)
    let feed = try ChatFeed(facts, clock, auth)
    let service = ChatService(
        database: database,
        configuration: configuration,
        keys: feed.keys,
        revocations: withServices ? feed.revocations : nil,
        userEvents: withServices ? feed.userEvents : nil,
        isReady: {},
        contract: "",
        clock: clock.clock,
        logger: quiet
    )
    var application = Application(
        router: service.buildRouter(),
        configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        logger: quiet
    )
    if withServices { application.addServices([feed.keys, feed] + service.services) }
    try await feed.keys.refresh(afterUnknownKeyID: "any")
    try await application.test(.live) { client in
        try await body(Upgraded.Service(client: client, database: database))
    }
}

/// Chat's feed, composed as in the program.
private struct ChatFeed: ServiceLifecycle.Service {
    let keys: RemoteKeySource
    let revocations: RevocationFeed
    let userEvents: UserEventFeed

    init(_ facts: Facts, _ clock: FixtureClock, _ auth: Upgraded.Service) throws {
        let url = "http://127.0.0.1:\(try #require(auth.client.port))"
        let secret = try #require(facts.clients["chat"]?.secret)
        let credentials = ClientCredentials(tokenEndpoint: "\(url)/oauth2/token", id: "chat", secret: secret)
        let news = EventNews(of: UserEventFeed.kinds)
        var pace = FeedPace()
        // Five minutes for clock differences.
        pace.tokenLifetime = .seconds(facts.accessTokenSeconds + 300)
        keys = RemoteKeySource(url: "\(url)/.well-known/jwks.json", logger: quiet)
        revocations = RevocationFeed(
            url: "\(url)/v1/events",
            credentials: credentials,
            pace: pace,
            keys: keys,
            news: news,
            clock: { clock.now.seconds },
            logger: quiet
        )
        let pages = EventPages(url: "\(url)/v1/events", credentials: credentials, logger: quiet)
        userEvents = UserEventFeed(pages: pages, news: news)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown { await revocations.run() }
    }
}
