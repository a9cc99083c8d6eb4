// No plan hangs on statistics: whatever PostgreSQL knows of its tables, a statement reads what it returns and little
// more.
import ChatService
import Storage
import TestSupport
import Testing

@Suite("what statements read", .needsPostgres)
struct StatementCostTests {
    /// Rows that a statement reads besides a multiple of what it returns or writes.
    static let allowance = 60
    static let buffers = 160

    /// They count, for an answer that asks for the number.
    static let counts: Set<String> = [
        "admin.summary", "conversations.count", "conversations.count_archived", "conversations.count_pinned",
        "conversations.count_tagged", "conversations.count_matching", "tags.count", "trash.count", "votes.count",
    ]

    /// A list of the titles with a word walks the list until it is full.
    static let walks: Set<String> = [
        "conversations.older_matching", "conversations.newer_matching", "conversations.numbered_matching",
    ]

    /// The one row that they write stands for a batch of so many messages.
    static let batches = ["conversations.deduct_newest": 20]

    /// Of a file that is imported.
    static func isOfPersonalData(_ name: String) -> Bool {
        name.hasPrefix("import.") || name.hasPrefix("export.") || name.hasPrefix("erase.")
    }

    @Test("rows and buffers are those of the result, under every statistics", arguments: KnownStatistics.allCases)
    func costs(statistics: KnownStatistics) async throws {
        let statements = ChatService.allStatements.filter {
            !StatementPlanTests.mayScan.contains($0.name) && !Self.counts.contains($0.name)
                && !Self.walks.contains($0.name) && !Self.isOfPersonalData($0.name)
        }
        try await withDatabase(.postgres, service: "chat") { database async throws in
            let costs = try await StatementCost.measure(
                statements,
                known: CostData.known(statistics),
                unknown: CostData.unknown(statistics),
                values: CostData.Target.allCases.map { target in { CostData.values(of: $0, target) } },
                on: database
            )
            #expect(costs.count == statements.count * CostData.Target.allCases.count)
            for cost in costs {
                let result = max(cost.result, Self.batches[cost.statement.name] ?? 0)
                let (rows, buffers) = (Self.allowance + 12 * result, Self.buffers + 40 * result)
                if cost.rows <= rows, cost.buffers <= buffers { continue }
                Issue.record(
                    "\(cost.statement.name): \(cost.rows) rows, \(cost.buffers) buffers for \(cost.result)\n\(cost.lines.joined(separator: "\n"))"
                )
            }
        }
    }
}
