// Nodes as deployed: they share data, clock and keys, and nothing else. Two nodes on one database object would share
// its write worker, which would order their transactions before any lock does.
import AuthService
import Foundation
import Hummingbird
import HummingbirdTesting
import Logging
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

/// One node for each ring, each with its own connections. `wrap` decorates the database of a node, by its number;
/// `configure` applies to all nodes.
func withSeparateNodes(
    _ engine: TestEngine,
    rings: [String] = [AuthNode.ring(1), AuthNode.ring(1)],
    configure: @Sendable @escaping (inout AuthConfiguration) -> Void = { _ in },
    wrap: @Sendable @escaping (Int, any SQLDatabase) -> any SQLDatabase = { $1 },
    _ body: @Sendable @escaping ([AuthNode]) async throws -> Void
) async throws {
    try await withTestDatabase(engine, service: "auth") { shared async throws in
        try await open(rings[...], shared, TestClock(), [], configure, wrap, body)
    }
}

private func open(
    _ rings: ArraySlice<String>,
    _ shared: TestDatabase,
    _ clock: TestClock,
    _ nodes: [AuthNode],
    _ configure: @Sendable @escaping (inout AuthConfiguration) -> Void,
    _ wrap: @Sendable @escaping (Int, any SQLDatabase) -> any SQLDatabase,
    _ body: @Sendable @escaping ([AuthNode]) async throws -> Void
) async throws {
    guard let ring = rings.first else { return try await body(nodes) }
    var configuration = AuthConfiguration(
        publicURL: "https://auth.test",
        masterKeys: try MasterKeyRing(base64Ring: ring)
    )
    configuration.argon2 = Argon2Parameters(memoryKiB: 64, iterations: 1, parallelism: 1)
    configuration.hashQueue = 1000
    configuration.rateLimits = false
    configure(&configuration)
    var logger = Logger(label: "test.auth")
    logger.logLevel = .critical
    let barrier = Barrier()
    let database = wrap(nodes.count, try await shared.openAnother())
    do {
        let service = try await AuthService(
            database: database,
            configuration: configuration,
            isReady: {},
            contract: "",
            clock: clock.clock,
            logger: logger,
            hasher: WaitingHasher(configuration, barrier)
        )
        let rest = rings.dropFirst()
        try await Application(router: service.buildRouter(), logger: logger).test(.router) { client in
            let node = AuthNode(service: service, client: client, database: database, clock: clock, barrier: barrier)
            try await open(rest, shared, clock, nodes + [node], configure, wrap, body)
        }
    } catch {
        await database.close()
        throw error
    }
    await database.close()
}

/// Keeps a transaction open on the engine's own thread until others wait for it.
final class HeldTransaction: Sendable {
    private enum State { case starting, holding, released }

    private let state = Mutex(State.starting)

    var holds: Bool { state.withLock { $0 == .holding } }

    func release() { state.withLock { $0 = .released } }

    /// Returns once released, or after half a minute.
    func hold() {
        state.withLock { $0 = $0 == .starting ? .holding : $0 }
        let deadline = ContinuousClock.now + .seconds(30)
        while holds, ContinuousClock.now < deadline { Thread.sleep(forTimeInterval: 0.002) }
    }
}
