import AuthService
import HTTPTypes
import HummingbirdTesting
import ServiceKit
import Storage
import TestSupport
import Testing

final class FailingDatabase: DatabaseDecorator {
    let base: any SQLDatabase
    private let fails: Switch

    init(_ base: any SQLDatabase, _ fails: Switch) {
        self.base = base
        self.fails = fails
    }

    func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        if fails.isOn { throw .unavailable(reason: "the test says so") }
        return try await base.run(transaction, priority: priority)
    }
}

extension AuthNode {
    /// A service's token, valid for a day of the test's clock.
    func serviceToken(_ scope: String = "events") async throws -> String {
        try await ServiceToken.mint(
            database,
            ring: AuthNode.ring(1),
            issuer: "https://auth.test",
            scope: scope,
            at: clock.now.seconds
        )
    }

    func feed(_ query: String = "", token: String? = nil) async throws -> Answer {
        let token = if let token { token } else { try await serviceToken() }
        return try await send(.get, "/v1/events\(query)", token: token)
    }

    func follow(_ query: String = "", after lastID: String? = nil, reads: Bool = true) async throws
        -> EventStreamReader
    {
        try EventStreamReader(
            port: try #require(client.port),
            path: "/v1/events\(query)",
            token: try await serviceToken(),
            lastEventID: lastID,
            reads: reads
        )
    }

    func revokeAll(of user: String) async throws {
        _ = try await service.sessions.revokeAll(
            ofUser: user,
            reason: .revokedByAdmin,
            actor: nil,
            from: .commandLine
        )
    }

    func makeEvents(_ count: Int, kind: String = "session.revoked", padding: Int = 0) async throws {
        let insert = Statement(
            "test.make_events",
            .appends(Events.log),
            ["now": .instant, "kind": .text, "data": .text, "count": .integer],
            """
            INSERT INTO events (at, kind, user_id, data)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
            SELECT :now, :kind, 'u' || n, :data FROM numbers
            """
        )
        let data = #"{"padding":"\#(String(repeating: "x", count: padding))"}"#
        _ = try await database.run(
            insert.bind(["now": clock.now, "kind": kind, "data": data, "count": count]),
            priority: .long
        )
    }

    func allEvents() async throws -> [Int64] {
        try await query("SELECT seq FROM events ORDER BY seq").map { try $0.integer("seq") }
    }
}
