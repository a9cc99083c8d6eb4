// The table that every mode works on, and the two statements that pgbench runs as well.

import Storage

enum Counters {
    static let increment = Statement(
        "counters.increment",
        .writes,
        [.integer],
        "UPDATE bench_counters SET value = value + 1 WHERE id = $1"
    )
    static let value = Statement(
        "counters.value",
        .reads,
        [.integer],
        "SELECT value FROM bench_counters WHERE id = $1"
    )

    /// Makes the table and its rows where they are missing.
    static func prepare(_ database: any SQLDatabase, rows: Int) async throws {
        let suffix = database.engine == .postgres ? " WITH (fillfactor = 70)" : ""
        _ = try await database.run(
            Statement(
                "counters.table",
                .writes,
                [],
                "CREATE TABLE IF NOT EXISTS bench_counters (id BIGINT PRIMARY KEY, value BIGINT NOT NULL)\(suffix)"
            )()
        )
        let insert = Statement(
            "counters.insert",
            .writes,
            [.integer],
            "INSERT INTO bench_counters (id, value) VALUES ($1, 0) ON CONFLICT DO NOTHING"
        )
        _ = try await database.run((1...rows).map { insert($0) }, priority: .long)
    }
}
