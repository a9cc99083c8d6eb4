// Indexes rows of older programs, and rows from before the index.
//
// A partial index over rows without words is the work list. So the job needs no position, two nodes do no harm, and the
// next tick finds a row that an older node wrote during a rolling update. Searches return `"complete": false`
// meanwhile.
import Storage

struct SearchBackfill: Sendable {
    let database: any SQLDatabase

    /// Rows of one transaction. Their texts are in memory together: at most 8 MiB each.
    static let batchSize = 50

    func run() async throws -> Int {
        let messages = try await run(SearchStatements.pendingMessages, SearchStatements.indexMessage)
        return try await messages + run(SearchStatements.pendingTitles, SearchStatements.indexTitle)
    }

    private func run(_ pending: Statement, _ index: Statement) async throws -> Int {
        var count = 0
        while true {
            let rows = try await database.run(pending(Self.batchSize)).rows
            let updates = try rows.map { row in
                index(
                    try row.text("id"),
                    try row.integer("version"),
                    SearchText.words(of: try row.text("pending_text"))
                )
            }
            guard !updates.isEmpty else { return count }
            let indexed = try await database.run(updates, priority: .long).reduce(0) { $0 + $1.affected }
            count += indexed
            // Other nodes handled all of them, or the rows change; the next tick looks again.
            guard indexed > 0 else { return count }
        }
    }
}
