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

struct Upgraded: Sendable {
    let facts: Facts
    let clock: TestClock
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
            return try await client.send(method, path, body, token: token, headers: fields)
        }

        /// `rows`: a table, or one with a condition.
        func count(_ rows: String) async throws -> Int {
            try await database.count(rows)
        }
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
    let clock = TestClock(try Facts.instant(facts.madeAt) + later, step: .microseconds(1))
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

extension Answer {
    var json: JSONValue { (try? JSONValue(parsing: text)) ?? .null }
    /// NDJSON.
    var lines: [JSONValue] { text.split(separator: "\n").map { (try? JSONValue(parsing: String($0))) ?? .null } }
}

private func withAuth(
    _ facts: Facts,
    _ database: any SQLDatabase,
    _ clock: TestClock,
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
    configuration.requests = .off
    let service = try await AuthService(
        database: database,
        configuration: configuration,
        isReady: {},
        contract: "",
        clock: clock.clock,
        logger: .quiet
    )
    var application = Application(
        router: service.buildRouter(),
        configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        logger: .quiet
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
    _ clock: TestClock,
    _ withServices: Bool,
    _ auth: Upgraded.Service,
    _ body: @Sendable @escaping (Upgraded.Service) async throws -> Void
) async throws {
    try await Migrator.testing(service: "chat", migrations: EmbeddedFile.migrations()).up(database)
    var configuration = ChatConfiguration(publicURL: facts.chatUrl, issuer: facts.publicUrl)
    configuration.cleanupInterval = .milliseconds(200)
    configuration.requests = .off
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
        logger: .quiet
    )
    var application = Application(
        router: service.buildRouter(),
        configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        logger: .quiet
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

    init(_ facts: Facts, _ clock: TestClock, _ auth: Upgraded.Service) throws {
        let url = "http://127.0.0.1:\(try #require(auth.client.port))"
        let secret = try #require(facts.clients["chat"]?.secret)
        let credentials = ClientCredentials(tokenEndpoint: "\(url)/oauth2/token", id: "chat", secret: secret)
        let news = EventNews(of: UserEventFeed.kinds)
        var pace = FeedPace()
        // Five minutes for clock differences.
        pace.tokenLifetime = .seconds(facts.accessTokenSeconds + 300)
        keys = RemoteKeySource(url: "\(url)/.well-known/jwks.json", logger: .quiet)
        revocations = RevocationFeed(
            url: "\(url)/v1/events",
            credentials: credentials,
            pace: pace,
            keys: keys,
            news: news,
            clock: { clock.now.seconds },
            logger: .quiet
        )
        let pages = EventPages(url: "\(url)/v1/events", credentials: credentials, logger: .quiet)
        userEvents = UserEventFeed(pages: pages, news: news)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown { await revocations.run() }
    }
}
