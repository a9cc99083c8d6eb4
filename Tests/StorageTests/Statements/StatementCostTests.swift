// No plan hangs on statistics: whatever PostgreSQL knows of its tables, a statement reads what it returns and little
// more.
import AuthService
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

    /// A list of the titles with a word walks the list until it is full. A mass deletion walks what the person has.
    static let walks: Set<String> = [
        "conversations.older_matching_many", "conversations.newer_matching_many",
        "conversations.numbered_matching_many",
        "mass_deletion.newest", "mass_deletion.batch_live", "mass_deletion.batch_in_trash",
    ]

    /// How many rows a statement handles, where its result does not say so.
    private static func size(of cost: StatementCost) -> Int {
        switch cost.statement.name {
        // The one row that is written stands for a batch of messages.
        case "conversations.deduct_newest": max(cost.result, 20)
        // The batch's tags with their places on conversations.
        case "erase.delete_tags": max(cost.result, 1000)
        // A batch that is counted or looked through.
        case let name where name.hasPrefix("erase."): max(cost.result, 500)
        // Without statistics, a page sorts the tags of the person, who has some hundred.
        case "export.tags": max(cost.result, 200)
        // Up to the newest message and to the head, in skips of 64 numbers; or some messages below.
        case "branches.leaf": max(cost.result, CostData.length / 64)
        // All messages of a conversation.
        case "import.finish_conversation", "import.whole_conversation": max(cost.result, CostData.length)
        default: cost.result
        }
    }

    @Test("rows and buffers are those of the result, under every statistics", arguments: KnownStatistics.allCases)
    func costs(statistics: KnownStatistics) async throws {
        let statements = ChatService.allStatements.filter {
            !StatementPlanTests.mayScan.contains($0.name) && !Self.counts.contains($0.name)
                && !Self.walks.contains($0.name)
        }
        try await withDatabase(.postgres, service: "chat") { database async throws in
            let costs = try await StatementCost.measure(
                statements,
                known: CostData.known(statistics),
                unknown: CostData.unknown(statistics),
                cases: CostData.Target.allCases.map { target in
                    StatementCost.Case(
                        values: { CostData.values(of: $0, target) },
                        before: { CostData.script(before: $0, target) }
                    )
                },
                on: database
            )
            #expect(costs.count == statements.count * CostData.Target.allCases.count)
            for cost in costs { Self.expect(cost, isFor: Self.size(of: cost)) }
        }
    }

    /// They count, or find where a log begins.
    static let countsOfAuth: Set<String> = [
        "users.count", "users.search_count", "events.first_since", "ring.count_refresh_tokens",
    ]

    /// An admin's search sorts the users whose key begins so.
    static let walksOfAuth: Set<String> = ["users.search_after", "users.search_before"]

    @Test("and so are those of auth, among them the lookup of a login", arguments: KnownStatistics.allCases)
    func auth(statistics: KnownStatistics) async throws {
        let statements = AuthService.allStatements.filter {
            !Self.countsOfAuth.contains($0.name) && !Self.walksOfAuth.contains($0.name)
        }
        #expect(statements.count == AuthService.allStatements.count - Self.countsOfAuth.count - Self.walksOfAuth.count)
        try await withDatabase(.postgres, service: "auth") { database async throws in
            let costs = try await StatementCost.measure(
                statements,
                known: AuthCostData.known(statistics),
                unknown: AuthCostData.unknown(statistics),
                cases: AuthCostData.Target.allCases.map { target in
                    StatementCost.Case(values: { AuthCostData.values(of: $0, target) }, before: { _ in "" })
                },
                on: database
            )
            #expect(costs.count == statements.count * AuthCostData.Target.allCases.count)
            for (index, cost) in costs.enumerated() {
                let target = AuthCostData.Target.allCases[index / statements.count]
                Self.expect(cost, isFor: Self.size(of: cost, target))
            }
        }
    }

    /// How many rows a statement of auth handles, where its result does not say so.
    private static func size(of cost: StatementCost, _ target: AuthCostData.Target) -> Int {
        switch cost.statement.name {
        // All sessions of the person, those with refresh tokens twice.
        case "sessions.revoke_of_user", "sessions.revoke_of_user_if_password", "sessions.revoke_of_inactive",
            "sessions.require_current_version", "users.delete", "users.keep_deleted_cookies",
            "users.keep_deleted_refresh_tokens":
            max(cost.result, target.sessionCount)
        default: cost.result
        }
    }

    private static func expect(_ cost: StatementCost, isFor size: Int) {
        let (rows, buffers) = (allowance + 12 * size, buffers + 40 * size)
        if cost.rows <= rows, cost.buffers <= buffers { return }
        Issue.record(
            "\(cost.statement.name): \(cost.rows) rows, \(cost.buffers) buffers for \(size)\n\(cost.lines.joined(separator: "\n"))"
        )
    }
}
