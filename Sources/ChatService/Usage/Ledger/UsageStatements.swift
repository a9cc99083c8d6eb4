// SQL of `usage_events` and `usage_totals`.
//
// A transaction bills its messages above `last_seq` (see ConversationCounterStatements). Refused or undone ones are not
// there, and cost nothing.
import Storage

enum UsageStatements {
    private static let inserted = """
        FROM conversations c JOIN messages m ON m.conversation_id = c.id AND m.seq > c.last_seq
        WHERE c.id = :conversation AND c.owner_id = :owner
        """

    private static let addToTotals = """
        ON CONFLICT (user_id, day, model) DO UPDATE SET
            messages = usage_totals.messages + excluded.messages,
            tokens_in = usage_totals.tokens_in + excluded.tokens_in,
            tokens_out = usage_totals.tokens_out + excluded.tokens_out,
            tokens_total = usage_totals.tokens_total + excluded.tokens_total
        """

    private static let record = Statement(
        "usage.record",
        .writes,
        ["conversation": .text, "owner": .text, "now": .instant],
        """
        INSERT INTO usage_events
            (user_id, conversation_id, message_id, model, tokens_in, tokens_out, tokens_total, created_at)
        SELECT c.owner_id, c.id, m.id, m.model, COALESCE(m.tokens_in, 0), COALESCE(m.tokens_out, 0),
            COALESCE(m.tokens_total, 0), :now
        \(inserted)
            AND (m.tokens_in > 0 OR m.tokens_out > 0 OR m.tokens_total > 0)
        ORDER BY m.seq
        """
    )

    /// A ledger row for each inserted message with tokens.
    static func record(conversation: String, owner: String, at now: Instant) -> BoundStatement {
        record.bind(["conversation": conversation, "owner": owner, "now": now])
    }

    private static let count = Statement(
        "usage.count",
        .writes,
        ["conversation": .text, "owner": .text, "day": .text],
        """
        INSERT INTO usage_totals (user_id, day, model, messages, tokens_in, tokens_out, tokens_total)
        SELECT c.owner_id, :day, COALESCE(m.model, ''), SUM(CASE WHEN m.role = 'user' THEN 1 ELSE 0 END),
            SUM(COALESCE(m.tokens_in, 0)), SUM(COALESCE(m.tokens_out, 0)), SUM(COALESCE(m.tokens_total, 0))
        \(inserted)
            AND (m.role = 'user' OR m.tokens_in > 0 OR m.tokens_out > 0 OR m.tokens_total > 0)
        GROUP BY c.owner_id, COALESCE(m.model, '')
        \(addToTotals)
        """
    )

    /// Adds the inserted messages to the sums of a day.
    static func count(conversation: String, owner: String, on day: UsageDay) -> BoundStatement {
        count.bind(["conversation": conversation, "owner": owner, "day": day.text])
    }

    /// The difference of usage that a patch will make, by the parameters of `TokenChange`. It reads the ledger, so it
    /// is right until the patch is recorded there.
    private static let difference = """
        FROM (
            SELECT asked.owner_id, asked.conversation_id, asked.id, asked.model, asked.created_at,
                \(atLeastUnbilled("more_in", "tokens_in")) AS more_in,
                \(atLeastUnbilled("more_out", "tokens_out")) AS more_out,
                \(atLeastUnbilled("more_total", "tokens_total")) AS more_total
            FROM (\(asked)) AS asked
        ) AS change
        """

    /// SECURITY: a message gives back at most what was billed for it. A copy has the numbers of its original, which
    /// were billed once; otherwise each copy could give them back.
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
        SELECT c.owner_id, m.conversation_id, m.id, m.model, m.created_at,
                COALESCE(\(TokenChange.tokensIn("m")), 0) - COALESCE(m.tokens_in, 0) AS more_in,
                COALESCE(\(TokenChange.tokensOut("m")), 0) - COALESCE(m.tokens_out, 0) AS more_out,
                COALESCE(\(TokenChange.tokensTotal("m")), 0) - COALESCE(m.tokens_total, 0) AS more_total
            FROM messages m JOIN conversations c ON c.id = m.conversation_id
            WHERE \(TokenChange.isTarget("m")) AND c.owner_id = :owner AND \(ConversationState.live.sql("c"))
                AND \(Principals.mayWrite(":owner"))
        """

    private static let recordCorrection = Statement(
        "usage.record_correction",
        .writes,
        TokenChange.parameters + ["now": .instant],
        """
        INSERT INTO usage_events
            (user_id, conversation_id, message_id, model, tokens_in, tokens_out, tokens_total, created_at)
        SELECT owner_id, conversation_id, id, model, more_in, more_out, more_total, :now
        \(difference)
        WHERE more_in <> 0 OR more_out <> 0 OR more_total <> 0
        """
    )

    static func recordCorrection(_ change: TokenChange, at now: Instant) -> BoundStatement {
        recordCorrection.bind(change.values + ["now": now])
    }

    private static let countCorrection = Statement(
        "usage.count_correction",
        .writes,
        TokenChange.parameters + ["day": .text],
        """
        INSERT INTO usage_totals (user_id, day, model, tokens_in, tokens_out, tokens_total)
        SELECT owner_id, :day, COALESCE(model, ''), \(rise("more_in")), \(rise("more_out")), \(rise("more_total"))
        \(difference)
        WHERE more_in > 0 OR more_out > 0 OR more_total > 0
        \(addToTotals)
        """
    )

    /// An increase counts on the day of the patch: an old message is no way around today's quota.
    static func countCorrection(_ change: TokenChange, on day: UsageDay) -> BoundStatement {
        countCorrection.bind(change.values + ["day": day.text])
    }

    private static func rise(_ column: String) -> String { "CASE WHEN \(column) > 0 THEN \(column) ELSE 0 END" }

    private static let countDecrease = Statement(
        "usage.take_back",
        .writes,
        TokenChange.parameters,
        postgres: countDecrease(day: "to_char(change.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
        sqlite: countDecrease(day: "strftime('%Y-%m-%d', change.created_at / 1000000, 'unixepoch')")
    )

    /// A decrease is taken from the message's own day, never below zero: no day lends to another.
    static func countDecrease(_ change: TokenChange) -> BoundStatement { countDecrease.bind(change.values) }

    private static func countDecrease(day: String) -> String {
        """
        UPDATE usage_totals SET
            tokens_in = \(fall("tokens_in", "more_in")),
            tokens_out = \(fall("tokens_out", "more_out")),
            tokens_total = \(fall("tokens_total", "more_total"))
        \(difference)
        WHERE usage_totals.user_id = change.owner_id AND usage_totals.day = \(day)
            AND usage_totals.model = COALESCE(change.model, '')
            AND (more_in < 0 OR more_out < 0 OR more_total < 0)
        """
    }

    private static func fall(_ column: String, _ more: String) -> String {
        """
        CASE WHEN \(more) >= 0 THEN usage_totals.\(column)
                WHEN usage_totals.\(column) + \(more) < 0 THEN 0
                ELSE usage_totals.\(column) + \(more)
            END
        """
    }

    private static let adjustLifetime = Principals.adjustingTokens(TokenChange.parameters, by: difference)

    /// Changes the sum of all time.
    static func adjustLifetime(_ change: TokenChange) -> BoundStatement { adjustLifetime.bind(change.values) }

    private static func sums(_ engine: SQLEngine) -> String {
        ["messages", "tokens_in", "tokens_out", "tokens_total"]
            .map { "\(engine.sum(of: "usage_totals.\($0)")) AS \($0)" }.joined(separator: ", ")
    }

    private static let range = """
        FROM usage_totals
        WHERE user_id = :owner AND day >= :first AND day <= :last AND (:model IS NULL OR model = :model)
        """

    private static let rangeParameters: StatementParameters = [
        "owner": .text, "first": .text, "last": .text, "model": .text,
    ]

    private static func values(of query: Usage.Query, _ owner: String) -> StatementValues {
        ["owner": owner, "first": query.from, "last": query.to, "model": query.model]
    }

    private static let byPeriod = Statement(
        "usage.by_period",
        .reads,
        rangeParameters + ["length": .integer]
    ) { engine in
        """
        SELECT SUBSTR(day, 1, CAST(:length AS integer)) AS period, \(sums(engine)) \(range)
        GROUP BY SUBSTR(day, 1, CAST(:length AS integer)) ORDER BY period
        """
    }

    /// A period's name is the first characters of the day.
    static func byPeriod(_ query: Usage.Query, of owner: String) -> BoundStatement {
        byPeriod.bind(values(of: query, owner) + ["length": query.period == .day ? 10 : 7])
    }

    private static let byModel = Statement(
        "usage.by_model",
        .reads,
        rangeParameters + ["limit": .integer]
    ) { engine in
        """
        SELECT model, \(sums(engine)) \(range)
        GROUP BY model ORDER BY \(engine.sum(of: "usage_totals.tokens_total")) DESC, model LIMIT :limit
        """
    }

    static func byModel(_ query: Usage.Query, of owner: String, limit: Int64) -> BoundStatement {
        byModel.bind(values(of: query, owner) + ["limit": limit])
    }

    private static let total = Statement(
        "usage.total",
        .reads,
        rangeParameters
    ) { engine in "SELECT \(sums(engine)) \(range)" }

    static func total(_ query: Usage.Query, of owner: String) -> BoundStatement {
        total.bind(values(of: query, owner))
    }

    static let all = [
        record, count, recordCorrection, countCorrection, countDecrease, adjustLifetime, byPeriod, byModel, total,
    ]
}
