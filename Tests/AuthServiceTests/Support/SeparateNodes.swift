// Nodes as deployed: they share data, clock and keys, and nothing else. Two nodes on one database object would share
// its write worker, which would order their transactions before any lock does.
import AuthService
import Storage
import TestSupport

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
        try await open(rings[...], shared, TestClock(step: .microseconds(1)), [], configure, wrap, body)
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
    var configuration = try AuthNode.configuration(ring: ring)
    configure(&configuration)
    let database = wrap(nodes.count, try await shared.openAnother())
    do {
        let rest = rings.dropFirst()
        try await AuthNode.serve(configuration, on: database, clock) { node in
            try await open(rest, shared, clock, nodes + [node], configure, wrap, body)
        }
    } catch {
        await database.close()
        throw error
    }
    await database.close()
}
