// SQL of networks with a failed login, and of the judgements that networks without one get.
//
// A mark with `count` 0 was made by the running transaction: later statements of it count only then, and the last one
// sets it to 1.
import ServiceKit
import Storage

enum NetworkFailureStatements {
    private static let mark = Statement(
        "throttle.mark_network",
        .writes,
        ["network": .text, "end": .instant],
        """
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at) VALUES (:network, 1, :end, :end)
        ON CONFLICT (key) DO UPDATE SET window_ends_at = excluded.window_ends_at, expires_at = excluded.expires_at
        """
    )

    static func mark(network: String, until end: Instant) -> BoundStatement {
        mark.bind(["network": network, "end": end])
    }

    private static func used(_ key: String) -> String {
        "(SELECT CASE WHEN c.window_ends_at <= :now THEN 0 ELSE c.count END FROM rate_counters c WHERE c.key = \(key))"
    }

    private static let claim = Statement(
        "throttle.claim_network",
        .writes,
        [
            "network": .text, "end": .instant, "now": .instant, "hour": .text, "hourly": .integer, "day": .text,
            "daily": .integer,
        ],
        """
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at)
        SELECT :network, 0, :end, :end WHERE \(used(":hour")) < :hourly AND \(used(":day")) < :daily
        ON CONFLICT (key) DO UPDATE SET
            count = 0, window_ends_at = excluded.window_ends_at, expires_at = excluded.expires_at
        WHERE rate_counters.window_ends_at <= :now
        RETURNING key
        """
    )

    /// Marks a network that has no mark, unless a cap is reached. The rows of both caps are locked before.
    static func claim(judgement: NetworkJudgement, at now: Instant) -> BoundStatement {
        claim.bind([
            "network": judgement.network, "end": judgement.end, "now": now,
            "hour": judgement.hour.key, "hourly": judgement.hour.limit,
            "day": judgement.day.key, "daily": judgement.day.limit,
        ])
    }

    private static let count = Statement(
        "throttle.count_judgement",
        .writes,
        ["key": .text, "end": .instant, "now": .instant, "network": .text],
        """
        UPDATE rate_counters SET
            count = CASE WHEN window_ends_at <= :now THEN 1 ELSE count + 1 END,
            expires_at = CASE WHEN window_ends_at <= :now THEN :end ELSE expires_at END,
            window_ends_at = CASE WHEN window_ends_at <= :now THEN :end ELSE window_ends_at END
        WHERE key = :key AND EXISTS (SELECT 1 FROM rate_counters n WHERE n.key = :network AND n.count = 0)
        """
    )

    static func count(cap: NetworkJudgement.Cap, judgement: NetworkJudgement, at now: Instant) -> BoundStatement {
        count.bind(["key": cap.key, "end": cap.end, "now": now, "network": judgement.network])
    }

    private static let seal = Statement(
        "throttle.seal_network",
        .writes,
        ["network": .text],
        "UPDATE rate_counters SET count = 1 WHERE key = :network AND count = 0"
    )

    static func seal(network: String) -> BoundStatement { seal.bind(["network": network]) }

    private static let absolve = Statement(
        "throttle.absolve_network",
        .writes,
        ["network": .text, "end": .instant],
        "DELETE FROM rate_counters WHERE key = :network AND window_ends_at = :end"
    )

    /// Removes the mark, unless a later failure has moved its end.
    static func absolve(network: String, end: Instant) -> BoundStatement {
        absolve.bind(["network": network, "end": end])
    }

    static let all = [mark, claim, count, seal, absolve]
}
