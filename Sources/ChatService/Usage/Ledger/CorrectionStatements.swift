// SQL of corrections: what a patch of a message's numbers changes in the ledger and in the sums.
//
// An increase is billed like a new message, on the day of the patch and for the model that the message has with it. A
// decrease is taken from what was billed for the message, the newest first: each billed row of the ledger stands for a
// stretch of its running sum, and the end of that sum is taken. So it leaves the day and the model to which it was
// added, whatever model the message has by then.
//
// SECURITY: what is taken from the sums of a day gives no quota back. It stays there as returned, and quotas count it.
import Storage

enum CorrectionStatements {
    /// The difference of usage that a patch will make, by the parameters of `TokenChange`. It reads the ledger, so it
    /// is right until the patch is recorded there.
    private static let difference = """
        FROM (
            SELECT asked.owner_id, asked.conversation_id, asked.id, asked.model,
                \(atLeastUnbilled("more_in", "tokens_in")) AS more_in,
                \(atLeastUnbilled("more_out", "tokens_out")) AS more_out,
                \(atLeastUnbilled("more_total", "tokens_total")) AS more_total
            FROM (\(asked)) AS asked
        ) AS change
        """

    /// SECURITY: at most what was billed for a message is taken back. A copy has the numbers of its original, which
    /// were billed once; otherwise each copy could take them back.
    private static func atLeastUnbilled(_ more: String, _ column: String) -> String {
        let billed = "SUM(e.\(column)) FILTER (WHERE e.user_id = asked.owner_id)"
        return """
            CASE WHEN asked.\(more) >= 0 THEN asked.\(more) ELSE (
                    SELECT CAST(
                        CASE WHEN COALESCE(\(billed), 0) <= 0 THEN 0
                            WHEN \(billed) + asked.\(more) < 0 THEN -\(billed)
                            ELSE asked.\(more)
                        END AS bigint
                    )
                    FROM usage_events e WHERE e.message_id = asked.id
                ) END
            """
    }

    private static let asked = """
        SELECT :owner AS owner_id, m.conversation_id, m.id, \(TokenChange.model("m")) AS model,
                COALESCE(\(TokenChange.tokensIn("m")), 0) - COALESCE(m.tokens_in, 0) AS more_in,
                COALESCE(\(TokenChange.tokensOut("m")), 0) - COALESCE(m.tokens_out, 0) AS more_out,
                COALESCE(\(TokenChange.tokensTotal("m")), 0) - COALESCE(m.tokens_total, 0) AS more_total
            FROM messages m JOIN conversations c ON c.id = :conversation
            WHERE \(TokenChange.isTarget("m")) AND \(ConversationState.live.sql(of: ":owner", "c"))
                AND \(Principals.mayWrite(principal: ":owner"))
        """

    // MARK: More

    private static let count = Statement(
        "usage.count_correction",
        .writes,
        TokenChange.parameters + ["day": .text],
        """
        INSERT INTO usage_totals (user_id, day, model, tokens_in, tokens_out, tokens_total)
        SELECT owner_id, :day, COALESCE(model, ''), \(rise("more_in")), \(rise("more_out")), \(rise("more_total"))
        \(difference)
        WHERE more_in > 0 OR more_out > 0 OR more_total > 0
        \(UsageStatements.addToTotals)
        """
    )

    /// An increase counts on the day of the patch: an old message is no way around today's quota.
    static func count(change: TokenChange, on day: UsageDay) -> BoundStatement {
        count.bind(change.values + ["day": day.text])
    }

    private static func rise(_ column: String) -> String { "CASE WHEN \(column) > 0 THEN \(column) ELSE 0 END" }

    private static let record = Statement(
        "usage.record_correction",
        .writes,
        TokenChange.parameters + ["now": .instant],
        """
        INSERT INTO usage_events
            (user_id, conversation_id, message_id, model, tokens_in, tokens_out, tokens_total, created_at)
        SELECT owner_id, conversation_id, id, model, \(rise("more_in")), \(rise("more_out")), \(rise("more_total")), :now
        \(difference)
        WHERE more_in > 0 OR more_out > 0 OR more_total > 0
        """
    )

    /// Adds a row to the ledger for an increase.
    static func record(change: TokenChange, at now: Instant) -> BoundStatement {
        record.bind(change.values + ["now": now])
    }

    // MARK: Less

    private static let columns = ["tokens_in", "tokens_out", "tokens_total"]

    /// What is taken of each row of the message's ledger, as `taken`: `tokens_in`, `tokens_out`, `tokens_total`, with
    /// the row's `user_id`, `model`, `created_at`, and the message's `conversation_id`.
    private static let taken = """
        (
            SELECT billed.id, billed.user_id, billed.model, billed.created_at, change.conversation_id,
                \(columns.map { "\(stretch($0, "floor")) - \(stretch($0, "target")) AS \($0)" }.joined(separator: ", "))
            FROM (
                SELECT running.*,
                    \(columns.map { "MIN(\($0)_after) OVER (\(andLater)) AS \($0)_floor" }.joined(separator: ", ")),
                    \(columns.map { "LAST_VALUE(\($0)_after) OVER (\(andLater)) AS \($0)_sum" }.joined(separator: ", "))
                FROM (
                    SELECT e.id, e.user_id, e.model, e.created_at,
                        \(columns.map { runningSum($0) }.joined(separator: ", "))
                    FROM usage_events e WHERE e.message_id = :message AND e.user_id = :owner
                ) AS running
            ) AS billed CROSS JOIN (
                SELECT conversation_id, more_in AS tokens_in, more_out AS tokens_out, more_total AS tokens_total
                \(difference)
                WHERE more_in < 0 OR more_out < 0 OR more_total < 0
            ) AS change
        ) AS taken
        """

    private static let andLater = "ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"

    /// An order that no index has: in that of the id, PostgreSQL would walk the whole ledger.
    private static let inOrder = "ORDER BY e.id + 0"

    private static func runningSum(_ column: String) -> String {
        """
        CAST(SUM(e.\(column)) OVER (\(inOrder)) AS bigint) AS \(column)_after,
                        CAST(SUM(e.\(column)) OVER (\(inOrder)) AS bigint) - e.\(column) AS \(column)_before
        """
    }

    /// How much of a row's stretch of the running sum is left: below what the sum fell to later, or below what it falls
    /// to now.
    private static func stretch(_ column: String, _ end: String) -> String {
        let floor = "billed.\(column)_floor"
        let target = "billed.\(column)_sum + change.\(column)"
        let top =
            end == "floor"
            ? floor : "CASE WHEN change.\(column) < 0 AND \(target) < \(floor) THEN \(target) ELSE \(floor) END"
        return "CASE WHEN \(top) > billed.\(column)_before THEN \(top) - billed.\(column)_before ELSE 0 END"
    }

    private static let isTaken = columns.map { "taken.\($0) > 0" }.joined(separator: " OR ")

    private static let reduceTotals = Statement(
        "usage.take_back",
        .writes,
        TokenChange.parameters,
        postgres: reduceTotals(day: "to_char(taken.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
        sqlite: reduceTotals(day: "strftime('%Y-%m-%d', taken.created_at / 1000000, 'unixepoch')")
    )

    /// Takes a decrease from the sums to which it was added.
    static func reduceTotals(change: TokenChange) -> BoundStatement { reduceTotals.bind(change.values) }

    private static func reduceTotals(day: String) -> String {
        """
        UPDATE usage_totals SET
            tokens_in = \(fall("tokens_in")),
            tokens_out = \(fall("tokens_out")),
            tokens_total = \(fall("tokens_total")),
            tokens_returned = usage_totals.tokens_returned + usage_totals.tokens_total - \(fall("tokens_total"))
        FROM (
            SELECT taken.user_id, \(day) AS day, COALESCE(taken.model, '') AS model,
                \(columns.map { "CAST(SUM(taken.\($0)) AS bigint) AS \($0)" }.joined(separator: ", "))
            FROM \(taken) WHERE \(isTaken)
            GROUP BY taken.user_id, \(day), COALESCE(taken.model, '')
        ) AS less
        WHERE usage_totals.user_id = less.user_id AND usage_totals.day = less.day AND usage_totals.model = less.model
        """
    }

    /// A sum never falls below zero.
    private static func fall(_ column: String) -> String {
        """
        CASE WHEN usage_totals.\(column) < less.\(column) THEN 0 ELSE usage_totals.\(column) - less.\(column) END
        """
    }

    private static let recordTaken = Statement(
        "usage.record_taken",
        .writes,
        TokenChange.parameters + ["now": .instant],
        """
        INSERT INTO usage_events
            (user_id, conversation_id, message_id, model, tokens_in, tokens_out, tokens_total, created_at)
        SELECT taken.user_id, taken.conversation_id, :message, taken.model,
            \(columns.map { "-taken.\($0)" }.joined(separator: ", ")), :now
        FROM \(taken) WHERE \(isTaken)
        ORDER BY taken.id DESC
        """
    )

    /// Adds a row to the ledger for each row of which something was taken, under its model. Goes after the statements
    /// that read the ledger, and before `record`.
    static func recordTaken(change: TokenChange, at now: Instant) -> BoundStatement {
        recordTaken.bind(change.values + ["now": now])
    }

    private static let adjustLifetime = Principals.adjustingTokens(parameters: TokenChange.parameters, by: difference)

    /// Changes the sum of all time.
    static func adjustLifetime(change: TokenChange) -> BoundStatement { adjustLifetime.bind(change.values) }

    static let all = [count, record, reduceTotals, recordTaken, adjustLifetime]
}
