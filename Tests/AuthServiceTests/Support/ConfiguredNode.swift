// A node with its own configuration, behind the router or a socket, and access to its tables.
import AuthService
import HTTPTypes
import Hummingbird
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
    var configuration = try AuthNode.configuration()
    configure(&configuration)
    let settings = configuration
    try await withDatabase(engine, service: "auth") { own async throws in
        var chosen: any SQLDatabase = own
        if counting { chosen = CountingDatabase(own) }
        if let failing { chosen = FailingDatabase(own, failing) }
        let clock = TestClock(step: .microseconds(1))
        try await AuthNode.serve(settings, on: chosen, clock, overSocket: overSocket, body)
    }
}

extension AuthNode {
    static let tables = [
        "users", "accounts", "sessions", "refresh_tokens", "devices", "deleted_user_tokens", "signing_keys", "events",
        "audit_log", "rate_counters", "job_leases", "settings", "ring_entries", "ring_nodes",
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
