// What group commit is measured against: the same update on the same file, one transaction for each, through
// GRDB's own pool with the same durability.

import Foundation
import GRDB

struct PlainGRDB: Sendable {
    private let pool: DatabasePool

    init(path: String, rows: Int) throws {
        pool = try DatabasePool(path: path)
        // After opening: the pool itself sets NORMAL, under which a loss of power may take acknowledged commits.
        try pool.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA synchronous = FULL") }
        try pool.write { db in
            try db.execute(
                sql: "CREATE TABLE IF NOT EXISTS bench_counters (id BIGINT PRIMARY KEY, value BIGINT NOT NULL)"
            )
            for id in 1...rows {
                try db.execute(
                    sql: "INSERT INTO bench_counters (id, value) VALUES (?, 0) ON CONFLICT DO NOTHING",
                    arguments: [id]
                )
            }
        }
    }

    func increment(_ id: Int) async throws {
        try await pool.write { db in
            let statement = try db.cachedStatement(sql: "UPDATE bench_counters SET value = value + 1 WHERE id = ?")
            try statement.execute(arguments: [id])
        }
    }
}
