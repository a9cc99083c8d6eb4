// Each person's usage, and the remaining quota.
//
// **The ledger** has a row for each message with tokens, each correction and each settled reservation. Rows are only
// added: a deletion gives nothing back, and forks and imports are not billed. A correction takes at most what the
// ledger has for its message, because a copy has the numbers of its original and was not billed.
//
// **The sums** are by day and model, written with the ledger under the lock of the principal's row. A decrease is taken
// from the days and models to which its message was billed, and stays in `tokens_returned`, which quotas count. The
// person's own messages are counted too. **`principals.tokens_total`** is the sum of all time.
//
// The appending transaction checks the quota of messages and undoes what exceeds it. Tokens are unknown beforehand, so
// their quota needs reservations; see Reservations.swift.
import ServiceKit
import Storage

/// Statements about usage for other features' transactions, and its queries.
struct Usage: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let quotas: Quotas

    struct Bill: Sendable {
        let messages: Int
        /// Whether one of them is the person's own.
        let hasOwn: Bool
        /// Whether one of them has a count of tokens above zero.
        let namesTokens: Bool
        let tokens: Int64
    }

    /// Bills this transaction's messages. Goes before the statement that moves `last_seq`.
    static func spend(bill: Bill, of owner: String, conversation: String, at now: Instant) -> [BoundStatement] {
        var statements: [BoundStatement] = []
        if bill.namesTokens {
            statements.append(
                UsageStatements.record(conversation: conversation, count: bill.messages, owner: owner, at: now)
            )
        }
        if bill.namesTokens || bill.hasOwn {
            statements.append(
                UsageStatements.count(
                    conversation: conversation,
                    count: bill.messages,
                    owner: owner,
                    on: UsageDay(now)
                )
            )
        }
        if bill.tokens > 0 {
            statements.append(
                Principals.add(
                    tokens: bill.tokens,
                    to: owner,
                    conversation: conversation,
                    messages: bill.messages
                )
            )
        }
        return statements
    }

    /// Bills a patch of a message's numbers: an increase on the day of the patch, for the model that it leaves; a
    /// decrease on the days and models to which it was billed, down to zero. Goes *before* `messages.change`, and finds
    /// the message in the same way. The ledger, which all of them read, is written last.
    static func correct(change: TokenChange, at now: Instant) -> [BoundStatement] {
        [
            CorrectionStatements.count(change: change, on: UsageDay(now)),
            CorrectionStatements.reduceTotals(change: change),
            CorrectionStatements.adjustLifetime(change: change),
            CorrectionStatements.recordTaken(change: change, at: now),
            CorrectionStatements.record(change: change, at: now),
        ]
    }

    struct Query: Sendable {
        enum Period: String, Sendable, CaseIterable {
            case day, month
        }

        enum Group: Sendable {
            case period, model, periodAndModel

            static let names: [String: Group] = [
                "period": .period, "model": .model, "model,period": .periodAndModel, "period,model": .periodAndModel,
            ]
        }

        let period: Period
        let group: Group
        /// Both inclusive, as 2026-11-21.
        let from: String
        let to: String
        /// `nil` for all models together, an empty text for none named.
        let model: RequestText?

        /// Rows of one answer; every period of a range fits.
        var maxRows: Int64 {
            switch group {
            case .period: 366
            case .model: 100
            case .periodAndModel: 1000
            }
        }
    }

    struct Sums: Sendable {
        let messages: Int64
        let tokensIn: Int64
        let tokensOut: Int64
        let tokensTotal: Int64

        init(_ row: Row) throws(StorageError) {
            messages = try row.integer("messages")
            tokensIn = try row.integer("tokens_in")
            tokensOut = try row.integer("tokens_out")
            tokensTotal = try row.integer("tokens_total")
        }

        func writeMembers(to writer: inout JSONWriter) {
            writer.field("messages", messages)
            writer.field("tokens_in", tokensIn)
            writer.field("tokens_out", tokensOut)
            writer.field("tokens_total", tokensTotal)
        }
    }

    struct Line: Sendable {
        /// As 2026-11-21 or 2026-11, where rows are grouped by it.
        let period: String?
        /// Where rows are grouped by it; an empty text for none named.
        let model: String?
        let sums: Sums
    }

    struct Report: Sendable {
        let rows: [Line]
        let hasMore: Bool
        let total: Sums
        let quota: QuotaUsage
        let lifetime: Int64
    }

    func report(_ query: Query, for caller: Caller) async throws -> Report {
        let now = clock.now()
        let grouped =
            switch query.group {
            case .period: UsageStatements.byPeriod(query: query, of: caller.id)
            case .model: UsageStatements.byModel(query: query, of: caller.id, limit: query.maxRows + 1)
            case .periodAndModel: UsageStatements.byBoth(query: query, of: caller.id, limit: query.maxRows + 1)
            }
        var transaction = Transaction()
        let rows = transaction.add(grouped)
        let whole = transaction.add(UsageStatements.total(query: query, of: caller.id))
        let quota = transaction.add(QuotaUsage.read(of: caller, at: now))
        let results = try await database.run(transaction)
        guard let total = results[whole].first, let quotaRow = results[quota].first else {
            throw APIError(.internalError)
        }
        let found = try results[rows].rows.map { row in
            Line(
                period: query.group == .model ? nil : try row.text("period"),
                model: query.group == .period ? nil : try row.text("model"),
                sums: try Sums(row)
            )
        }
        let limit = Int(query.maxRows)
        return Report(
            rows: Array(found.prefix(limit)),
            hasMore: found.count > limit,
            total: try Sums(total),
            quota: try QuotaUsage(quotaRow, limits: quotas[caller], at: now),
            lifetime: try quotaRow.optionalInteger("lifetime") ?? 0
        )
    }
}

struct UsageDay: Sendable, Hashable {
    /// As 2026-11-21.
    let text: String
    /// The beginning of the next one.
    let end: Instant

    init(_ instant: Instant) {
        text = String(instant.rfc3339.prefix(10))
        let length: Int64 = 86_400
        let seconds = instant.seconds
        let begin = seconds - ((seconds % length) + length) % length
        end = Instant(seconds: begin + length)
    }

    var monthBegin: String { text.prefix(7) + "-01" }

    /// The beginning of the next month.
    var monthEnd: Instant {
        let (year, month) = (Int(text.prefix(4)) ?? 0, Int(text.dropFirst(5).prefix(2)) ?? 0)
        let (nextYear, nextMonth) = month == 12 ? (year + 1, 1) : (year, month + 1)
        let padded = nextMonth < 10 ? "0\(nextMonth)" : "\(nextMonth)"
        return Instant(rfc3339: "\(nextYear)-\(padded)-01T00:00:00Z") ?? end
    }
}
