import ServiceKit
import Storage

enum ThrottleStatements {
    private static let take = Statement(
        "throttle.take",
        .writes,
        ["key": .text, "window_end": .instant, "end": .instant],
        """
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at) VALUES (:key, 0, :window_end, :end)
        ON CONFLICT (key) DO UPDATE SET key = excluded.key
        """
    )

    /// Inserts or locks the counter's row, so that concurrent attempts see each other's counts.
    static func take(key: String, until end: Instant) -> BoundStatement {
        take.bind(["key": key, "window_end": end, "end": end])
    }

    private static let read = Statement(
        "throttle.read",
        .reads,
        ["key": .text],
        "SELECT count, window_ends_at, blocked_until FROM rate_counters WHERE key = :key"
    )

    static func read(key: String) -> BoundStatement { read.bind(["key": key]) }

    private static let countAttempt = Statement(
        "throttle.count_attempt",
        .writes,
        [
            "key": .text, "now": .instant, "window_end": .instant, "free": .integer, "first": .instant,
            "second": .instant, "third": .instant, "fourth": .instant, "fifth": .instant, "later": .instant,
        ],
        """
        UPDATE rate_counters SET
            count = CASE WHEN window_ends_at <= :now THEN 1 ELSE count + 1 END,
            blocked_until = CASE
                WHEN window_ends_at <= :now THEN NULL
                WHEN count + 1 < :free THEN NULL
                WHEN count + 1 = :free THEN :first
                WHEN count + 1 = :free + 1 THEN :second
                WHEN count + 1 = :free + 2 THEN :third
                WHEN count + 1 = :free + 3 THEN :fourth
                WHEN count + 1 = :free + 4 THEN :fifth
                ELSE :later END,
            window_ends_at = :window_end, expires_at = :window_end
        WHERE key = :key AND (blocked_until IS NULL OR blocked_until <= :now)
        """
    )

    /// Counts an attempt unless the key is blocked. `end`: of a new window. `free`: attempts without a delay.
    static func countAttempt(
        key: String,
        until end: Instant,
        free: Int,
        delays: ThrottleDelays,
        at now: Instant
    ) -> BoundStatement {
        countAttempt.bind([
            "key": key, "now": now, "window_end": end, "free": free, "first": now + delays.first,
            "second": now + delays.second, "third": now + delays.third, "fourth": now + delays.fourth,
            "fifth": now + delays.fifth, "later": now + delays.later,
        ])
    }

    private static let countRequest = Statement(
        "throttle.count_request",
        .writes,
        ["key": .text, "now": .instant, "window_end": .instant],
        """
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at) VALUES (:key, 1, :window_end, :window_end)
        ON CONFLICT (key) DO UPDATE SET
            count = CASE WHEN rate_counters.window_ends_at <= :now THEN 1 ELSE rate_counters.count + 1 END,
            expires_at = CASE WHEN rate_counters.window_ends_at <= :now THEN :window_end
                ELSE rate_counters.expires_at END,
            window_ends_at = CASE WHEN rate_counters.window_ends_at <= :now THEN :window_end
                ELSE rate_counters.window_ends_at END
        RETURNING count, window_ends_at
        """
    )

    /// Counts a request in a fixed window; `end` is that of a new one.
    static func countRequest(key: String, until end: Instant, at now: Instant) -> BoundStatement {
        countRequest.bind(["key": key, "now": now, "window_end": end])
    }

    private static let countBelow = Statement(
        "throttle.count_below",
        .writes,
        ["key": .text, "now": .instant, "window_end": .instant, "limit": .integer],
        """
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at) VALUES (:key, 1, :window_end, :window_end)
        ON CONFLICT (key) DO UPDATE SET
            count = CASE WHEN rate_counters.window_ends_at <= :now THEN 1 ELSE rate_counters.count + 1 END,
            expires_at = CASE WHEN rate_counters.window_ends_at <= :now THEN :window_end
                ELSE rate_counters.expires_at END,
            window_ends_at = CASE WHEN rate_counters.window_ends_at <= :now THEN :window_end
                ELSE rate_counters.window_ends_at END
        WHERE rate_counters.window_ends_at <= :now OR rate_counters.count < :limit
        RETURNING count
        """
    )

    /// Counts in a fixed window, or returns no row where that has reached its limit.
    static func countBelow(limit: Int64, key: String, until end: Instant, at now: Instant) -> BoundStatement {
        countBelow.bind(["key": key, "now": now, "window_end": end, "limit": limit])
    }

    private static let discount = Statement(
        "throttle.take_back",
        .writes,
        ["key": .text, "blocking": .instant, "now": .instant],
        """
        UPDATE rate_counters SET count = count - 1,
            blocked_until = CASE WHEN blocked_until = :blocking THEN NULL ELSE blocked_until END
        WHERE key = :key AND count > 0 AND window_ends_at > :now
        """
    )

    /// Takes one back, and the delay that it began.
    static func discount(key: String, blocking: Instant?, at now: Instant) -> BoundStatement {
        discount.bind(["key": key, "blocking": blocking, "now": now])
    }

    private static let clear = Statement(
        "throttle.clear",
        .writes,
        ["key": .text],
        "DELETE FROM rate_counters WHERE key = :key"
    )

    static func clear(key: String) -> BoundStatement { clear.bind(["key": key]) }

    private static let deleteExpired = Statement(
        "throttle.delete_expired",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM rate_counters WHERE key IN (
            SELECT key FROM rate_counters WHERE expires_at < :before ORDER BY expires_at LIMIT :limit)
        """
    )

    static let cleanup = CleanupStep("rate_counters") { deleteExpired.bind(["before": $0, "limit": $1]) }

    static let all = [take, read, countAttempt, countRequest, countBelow, discount, clear, deleteExpired]
}
