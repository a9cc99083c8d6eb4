// A node with its own configuration, behind the router or a socket, and access to its tables.
import AuthService
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Storage
import TestSupport
import Testing

/// `overSocket` uses a real connection, so that the node sees a peer's address. `counting` makes the database a
/// `CountingDatabase`; `failing` makes it fail while the switch is on.
func withConfiguredNode(
    _ engine: TestEngine,
    overSocket: Bool = false,
    counting: Bool = false,
    failing: Switch? = nil,
    _ configure: (inout AuthConfiguration) -> Void = { _ in },
    _ body: @Sendable @escaping (AuthNode) async throws -> Void
) async throws {
    var configuration = AuthConfiguration(
        publicURL: "https://auth.test",
        masterKeys: try MasterKeyRing(base64Ring: AuthNode.ring(1))
    )
    configuration.argon2 = Argon2Parameters(memoryKiB: 64, iterations: 1, parallelism: 1)
    configuration.hashQueue = 1000
    configuration.rateLimits = false
    configure(&configuration)
    let settings = configuration
    var logger = Logger(label: "test.auth")
    logger.logLevel = .critical
    let quiet = logger
    try await withDatabase(engine, service: "auth") { own async throws in
        var chosen: any SQLDatabase = own
        if counting { chosen = CountingDatabase(own) }
        if let failing { chosen = FailingDatabase(own, failing) }
        let database = chosen
        let clock = TestClock()
        let service = try await AuthService(
            database: database,
            configuration: settings,
            isReady: {},
            contract: "",
            clock: clock.clock,
            logger: quiet
        )
        let application = Application(
            router: service.buildRouter(),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            logger: quiet
        )
        try await application.test(overSocket ? .live : .router) { client in
            try await body(
                AuthNode(service: service, client: client, database: database, clock: clock, barrier: Barrier())
            )
        }
    }
}

extension AuthNode {
    static let tables = [
        "users", "accounts", "sessions", "refresh_tokens", "signing_keys", "events", "audit_log", "rate_counters",
        "job_leases", "settings",
    ]

    func rowCounts() async throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for table in Self.tables { counts[table] = try await count(table) }
        return counts
    }

    @discardableResult
    func execute(_ sql: String, _ values: StatementValues = [:]) async throws -> Int {
        try await database.execute(sql, values)
    }

    /// The kinds of the events after `seq`, in order, and the last `seq`.
    func events(after seq: Int64) async throws -> (kinds: [String], last: Int64) {
        let rows = try await query("SELECT seq, kind FROM events WHERE seq > :seq ORDER BY seq", ["seq": seq])
        return (try rows.map { try $0.text("kind") }, try rows.last?.integer("seq") ?? seq)
    }

    /// Every mounted operation, with `id` for its path parameters.
    func operations(id: String = "unknown") -> [(method: HTTPRequest.Method, path: String)] {
        service.buildRouter().routes.map { route in
            let segments = route.path.description.split(separator: "/")
            let path = segments.map { $0.hasPrefix(":") || $0.hasPrefix("{") ? id : String($0) }
            return (route.method, "/" + path.joined(separator: "/"))
        }
    }
}
