// The table that every mode works on, and the two statements that pgbench runs as well.

import Storage

enum Counters {
    static let increment = Statement(
        "counters.increment",
        .writes,
        ["id": .integer],
        "UPDATE bench_counters SET value = value + 1 WHERE id = :id"
    )
    static let value = Statement(
        "counters.value",
        .reads,
        ["id": .integer],
        "SELECT value FROM bench_counters WHERE id = :id"
    )

    /// Makes the table and its rows where they are missing.
    static func prepare(_ database: any SQLDatabase, rows: Int) async throws {
        let suffix = database.engine == .postgres ? " WITH (fillfactor = 70)" : ""
        _ = try await database.run(
            Statement(
                "counters.table",
                .writes,
                "CREATE TABLE IF NOT EXISTS bench_counters (id BIGINT PRIMARY KEY, value BIGINT NOT NULL)\(suffix)"
            ).bind()
        )
        let insert = Statement(
            "counters.insert",
            .writes,
            ["id": .integer],
            "INSERT INTO bench_counters (id, value) VALUES (:id, 0) ON CONFLICT DO NOTHING"
        )
        _ = try await database.run(Transaction((1...rows).map { insert.bind(["id": $0]) }), priority: .long)
    }
}
