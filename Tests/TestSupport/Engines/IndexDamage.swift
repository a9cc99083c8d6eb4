// Damages SQLite's full-text index in ways that no request may suffer from.
package import Storage

package enum IndexDamage {
    /// Runs negative merges, each over two or more segments, until SQLite calls the structure malformed. 2,000 erasures
    /// did the same, each with one merge.
    ///
    /// - Returns: the number of merges.
    @discardableResult
    package static func addLevels(to table: String, in database: any SQLDatabase) async throws -> Int {
        let insert = Statement(
            "damage.insert",
            .writes,
            ["id": .integer],
            "INSERT INTO \(table) (rowid, words) VALUES (:id, 'damage')"
        )
        let merge = Statement(
            "damage.merge",
            .writes,
            [:],
            "INSERT INTO \(table) (\(table), rank) VALUES ('merge', -500)"
        )
        var merges = 0
        while merges < 3000 {
            do {
                // In few commits, each pair in a savepoint of its own, whose end makes the row a segment.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 1...50 {
                        let transaction = Transaction([merge.bind(), insert.bind(["id": Int64(merges + index)])])
                        group.addTask { _ = try await database.run(transaction) }
                    }
                    try await group.waitForAll()
                }
                merges += 50
            } catch StorageError.damaged {
                break
            }
        }
        // Only the last merge commits one level too many.
        while merges < 3000 {
            merges += 1
            do {
                _ = try await database.run(insert.bind(["id": Int64(10_000 + merges)]))
            } catch StorageError.damaged {
                return merges
            }
            _ = try await database.run(merge.bind())
        }
        throw NeverMalformed()
    }

    /// Replaces the structure record by one with too many levels, which cannot be opened either.
    package static func breakStructure(of table: String, in database: any SQLDatabase) async throws {
        // 2,002 levels, without segments.
        try await setStructure(of: table, to: "x'000000008F520000' || zeroblob(4004)", in: database)
    }

    /// `block` is an SQL expression of the column `block`. It runs on its own connection, because FTS5 caches what its
    /// connection has read.
    package static func setStructure(of table: String, to block: String, in database: any SQLDatabase) async throws {
        try await database.withMigrationLock { connection in
            try connection.execute(script: "UPDATE \(table)_data SET block = CAST(\(block) AS BLOB) WHERE id = 10")
        }
    }

    package static func check(_ table: String, in database: any SQLDatabase) async throws {
        let statement = Statement(
            "damage.check",
            .writes,
            [:],
            "INSERT INTO \(table) (\(table)) VALUES ('integrity-check')"
        )
        _ = try await database.run(statement.bind())
    }

    struct NeverMalformed: Error {}
}
