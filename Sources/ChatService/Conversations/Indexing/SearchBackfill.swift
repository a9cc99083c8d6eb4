// Indexes rows of older programs, and rows from before the index.
//
// A partial index over rows without words is the work list. So the job needs no position, two nodes do no harm, and the
// next tick finds a row that an older node wrote during a rolling update. Searches return `"complete": false`
// meanwhile.
import Storage

struct SearchBackfill: Sendable {
    enum Texts: CaseIterable, Sendable {
        case messages, titles
    }

    let database: any SQLDatabase

    /// Rows of one transaction. Their texts are in memory together: at most 8 MiB each.
    static let batchSize = 50

    /// Returns how many rows it has indexed.
    func run() async throws -> Int {
        var count = 0
        for texts in Texts.allCases { count += try await run(texts) }
        return count
    }

    /// Whether every text is indexed.
    func isComplete() async throws -> Bool {
        try await database.run(SearchBackfillStatements.anyPending()).first?.boolean("pending") == false
    }

    private func run(_ texts: Texts) async throws -> Int {
        var count = 0
        while true {
            let rows = try await database.run(SearchBackfillStatements.pending(texts: texts, limit: Self.batchSize))
                .rows
            guard !rows.isEmpty else { return count }
            var transaction = Transaction()
            for row in rows {
                transaction.add(
                    SearchBackfillStatements.index(
                        texts: texts,
                        id: try row.text("id"),
                        version: try row.integer("version"),
                        words: SearchText.words(of: try row.text("pending_text"))
                    )
                )
            }
            let results = try await database.run(transaction, priority: .long)
            let indexed = results.all.reduce(0) { $0 + $1.affected }
            count += indexed
            // Other nodes handled all of them, or the rows change; the next tick looks again.
            guard indexed > 0 else { return count }
        }
    }
}
