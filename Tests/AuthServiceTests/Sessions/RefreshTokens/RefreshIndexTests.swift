// A refresh changes no indexed column, so PostgreSQL may make a "heap-only tuple" and touch no index
// (https://www.postgresql.org/docs/15/storage-hot.html).
import AuthService
import Foundation
import Storage
import TestSupport
import Testing

@Suite("Indexes at a refresh")
struct RefreshIndexTests {
    private static let refreshes = 200

    @Test(
        "refreshes are HOT updates, by PostgreSQL's own counters, and leaves the session's row alone",
        .needsPostgres
    )
    func heapOnly() async throws {
        try await withNode(.postgres) { node in
            let ada = try await node.signUp()
            let before = try await updates(node)
            var token = ada.refresh
            for _ in 0..<Self.refreshes {
                token = try #require(try await node.refresh(token).json["refresh_token"]?.string)
            }
            // Sessions write their statistics from time to time; see pg_stat_all_tables.
            var after = before
            try await eventually("the counters have arrived") {
                after = try await updates(node)
                return after.tokens.all - before.tokens.all >= Self.refreshes
            }
            #expect(after.tokens.all - before.tokens.all == Self.refreshes)
            // Not all: sometimes a row's page is full and not yet pruned. With an indexed column among the changes it
            // would be none.
            #expect((after.tokens.hot - before.tokens.hot) * 10 >= Self.refreshes * 9)
            #expect(after.sessions.all == before.sessions.all)
        }
    }

    @Test("what an index holds of a token or session stays the same", arguments: TestEngine.allCases)
    func columns(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let indexed = [
                "refresh_tokens": try await indexedColumns("refresh_tokens", node),
                "sessions": try await indexedColumns("sessions", node),
                "users": try await indexedColumns("users", node),
            ]
            #expect(indexed["refresh_tokens"]?.isSuperset(of: ["id", "session_id", "user_id", "expires_at"]) == true)
            #expect(indexed["sessions"]?.contains("expires_at") == true)
            let before = try await values(indexed, node)
            // Hours apart, within the day that a session's end may lag.
            var token = ada.refresh
            for _ in 0..<5 {
                node.clock.advance(.seconds(4 * 3600))
                token = try #require(try await node.refresh(token).json["refresh_token"]?.string)
            }
            #expect(try await values(indexed, node) == before)
            // After it the end moves, once, and the test proves that it sees a change.
            node.clock.advance(.seconds(5 * 3600))
            _ = try await node.refresh(token)
            let slid = try await values(indexed, node)
            #expect(slid["sessions"] != before["sessions"])
            #expect(slid["refresh_tokens"] == before["refresh_tokens"])
        }
    }

    private struct Counters {
        var all = 0
        var hot = 0
    }

    private func updates(_ node: AuthNode) async throws -> (tokens: Counters, sessions: Counters) {
        var counters: [String: Counters] = [:]
        for row in try await node.query(
            "SELECT relname::text AS name, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
        ) {
            counters[try row.text("name")] = Counters(all: try row.int("n_tup_upd"), hot: try row.int("n_tup_hot_upd"))
        }
        return (try #require(counters["refresh_tokens"]), try #require(counters["sessions"]))
    }

    private func indexedColumns(_ table: String, _ node: AuthNode) async throws -> Set<String> {
        let rows =
            switch node.database.engine {
            case .sqlite:
                try await node.query(
                    "SELECT i.name AS name FROM pragma_index_list(:table) AS l, pragma_index_info(l.name) AS i",
                    ["table": table]
                )
            case .postgres:
                try await node.query(
                    """
                    SELECT DISTINCT a.attname::text AS name FROM pg_index x
                    JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)
                    WHERE x.indrelid = CAST(:table AS regclass)
                    """,
                    ["table": table]
                )
            }
        return Set(try rows.map { try $0.text("name") })
    }

    private func values(_ columns: [String: Set<String>], _ node: AuthNode) async throws -> [String: [[SQLValue]]] {
        var values: [String: [[SQLValue]]] = [:]
        for (table, names) in columns {
            let list = names.sorted().joined(separator: ", ")
            values[table] = try await node.query("SELECT \(list) FROM \(table) ORDER BY id").map(\.values)
        }
        return values
    }
}
