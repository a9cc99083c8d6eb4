// SQL of `usage_events` and `usage_totals`.
//
// A transaction bills its messages above `last_seq` (see ConversationCounterStatements). Refused or undone ones are not
// there, and cost nothing.
import Storage

enum UsageStatements {
    private static let inserted = """
        FROM messages m WHERE \(MessageState.isInserted("m")) AND EXISTS (
            SELECT 1 FROM conversations c WHERE c.id = :conversation AND \(OnePlan.check("c.owner_id = :owner"))
        )
        """
    private static let insertedParameters: StatementParameters = [
        "conversation": .text, "owner": .text, "count": .integer,
    ]

    static let addToTotals = """
        ON CONFLICT (user_id, day, model) DO UPDATE SET
            messages = usage_totals.messages + excluded.messages,
            tokens_in = usage_totals.tokens_in + excluded.tokens_in,
            tokens_out = usage_totals.tokens_out + excluded.tokens_out,
            tokens_total = usage_totals.tokens_total + excluded.tokens_total
        """

    private static let record = Statement(
        "usage.record",
        .writes,
        insertedParameters + ["now": .instant],
        """
        INSERT INTO usage_events
            (user_id, conversation_id, message_id, model, tokens_in, tokens_out, tokens_total, created_at)
        SELECT :owner, m.conversation_id, m.id, m.model, COALESCE(m.tokens_in, 0), COALESCE(m.tokens_out, 0),
            COALESCE(m.tokens_total, 0), :now
        \(inserted)
            AND (m.tokens_in > 0 OR m.tokens_out > 0 OR m.tokens_total > 0)
        ORDER BY m.seq
        """
    )

    /// A ledger row for each inserted message with tokens.
    static func record(conversation: String, count: Int, owner: String, at now: Instant) -> BoundStatement {
        record.bind(["conversation": conversation, "owner": owner, "count": count, "now": now])
    }

    private static let count = Statement(
        "usage.count",
        .writes,
        insertedParameters + ["day": .text],
        """
        INSERT INTO usage_totals (user_id, day, model, messages, tokens_in, tokens_out, tokens_total)
        SELECT :owner, :day, COALESCE(m.model, ''), SUM(CASE WHEN m.role = 'user' THEN 1 ELSE 0 END),
            SUM(COALESCE(m.tokens_in, 0)), SUM(COALESCE(m.tokens_out, 0)), SUM(COALESCE(m.tokens_total, 0))
        \(inserted)
            AND (m.role = 'user' OR m.tokens_in > 0 OR m.tokens_out > 0 OR m.tokens_total > 0)
        GROUP BY COALESCE(m.model, '')
        \(addToTotals)
        """
    )

    /// Adds `count` inserted messages to the sums of a day.
    static func count(conversation: String, count messages: Int, owner: String, on day: UsageDay) -> BoundStatement {
        count.bind(["conversation": conversation, "owner": owner, "count": messages, "day": day.text])
    }

    private static func sums(engine: SQLEngine) -> String {
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

    private static func values(of query: Usage.Query, owner: String) -> StatementValues {
        ["owner": owner, "first": query.from, "last": query.to, "model": query.model]
    }

    private static let byPeriod = Statement(
        "usage.by_period",
        .reads,
        rangeParameters + ["length": .integer]
    ) { engine in
        """
        SELECT SUBSTR(day, 1, CAST(:length AS integer)) AS period, \(sums(engine: engine)) \(range)
        GROUP BY SUBSTR(day, 1, CAST(:length AS integer)) ORDER BY period
        """
    }

    /// A period's name is the first characters of the day.
    static func byPeriod(query: Usage.Query, of owner: String) -> BoundStatement {
        byPeriod.bind(values(of: query, owner: owner) + ["length": query.period == .day ? 10 : 7])
    }

    private static let byModel = Statement(
        "usage.by_model",
        .reads,
        rangeParameters + ["limit": .integer]
    ) { engine in
        """
        SELECT model, \(sums(engine: engine)) \(range)
        GROUP BY model ORDER BY \(engine.sum(of: "usage_totals.tokens_total")) DESC, model LIMIT :limit
        """
    }

    static func byModel(query: Usage.Query, of owner: String, limit: Int64) -> BoundStatement {
        byModel.bind(values(of: query, owner: owner) + ["limit": limit])
    }

    private static let byBoth = Statement(
        "usage.by_period_and_model",
        .reads,
        rangeParameters + ["length": .integer, "limit": .integer]
    ) { engine in
        """
        SELECT SUBSTR(day, 1, CAST(:length AS integer)) AS period, model, \(sums(engine: engine)) \(range)
        GROUP BY SUBSTR(day, 1, CAST(:length AS integer)), model ORDER BY period, model LIMIT :limit
        """
    }

    /// A row for each model of each period.
    static func byBoth(query: Usage.Query, of owner: String, limit: Int64) -> BoundStatement {
        byBoth.bind(
            values(of: query, owner: owner) + ["length": query.period == .day ? 10 : 7, "limit": limit]
        )
    }

    private static let total = Statement(
        "usage.total",
        .reads,
        rangeParameters
    ) { engine in "SELECT \(sums(engine: engine)) \(range)" }

    static func total(query: Usage.Query, of owner: String) -> BoundStatement {
        total.bind(values(of: query, owner: owner))
    }

    static let all = [record, count, byPeriod, byModel, byBoth, total]
}
