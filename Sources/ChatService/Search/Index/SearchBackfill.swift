// Rows that an older program wrote, and every row that was there before the index: their words are added afterwards.
//
// The rows themselves are the list of what is left to do (a partial index over those without words), so the job needs
// no place to resume from, two nodes at it do no harm, and a row written by an older node during a rolling update is
// found at the next tick. Searches say `"complete": false` as long as there is any.
import Storage

struct SearchBackfill: Sendable {
    let database: any SQLDatabase

    /// Rows of one unit. Their texts are in memory at once: 8 MiB each at the very most.
    static let batch = 50

    /// Indexes what is not indexed yet; how many rows that was.
    func run() async throws -> Int {
        let messages = try await run(SearchStatements.pendingMessages, SearchStatements.indexMessage)
        return try await messages + run(SearchStatements.pendingTitles, SearchStatements.indexTitle)
    }

    private func run(_ pending: Statement, _ index: Statement) async throws -> Int {
        var count = 0
        while true {
            let rows = try await database.run(pending(Self.batch)).rows
            let unit = try rows.map { row in
                index(
                    try row.text("id"),
                    try row.integer("version"),
                    SearchText.words(of: try row.text("pending_text"))
                )
            }
            guard !unit.isEmpty else { return count }
            let indexed = try await database.run(unit, priority: .long).reduce(0) { $0 + $1.affected }
            count += indexed
            // Others had all of them: they are at it, or the rows change; the next tick looks again.
            guard indexed > 0 else { return count }
        }
    }
}
