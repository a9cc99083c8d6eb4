// SQL of `rate_counters`.
import Storage

enum ThrottleStatements {
    /// Takes the counter's row, making it when it is new: of attempts that race, each sees what the one before left.
    static let take = Statement(
        "throttle.take",
        .writes,
        [.text, .instant, .instant],
        """
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at) VALUES ($1, 0, $2, $3)
        ON CONFLICT (key) DO UPDATE SET key = excluded.key
        """
    )

    static let read = Statement(
        "throttle.read",
        .reads,
        [.text],
        "SELECT count, window_ends_at, blocked_until FROM rate_counters WHERE key = $1"
    )

    /// Counts an attempt unless the key is blocked. `$2` now, `$3` the end of a window that begins now, `$4` the
    /// free attempts, `$5`… when the next attempt is allowed after one, two, … attempts too many.
    static let countAttempt = Statement(
        "throttle.count_attempt",
        .writes,
        [.text, .instant, .instant, .integer, .instant, .instant, .instant, .instant, .instant, .instant],
        """
        UPDATE rate_counters SET
            count = CASE WHEN window_ends_at <= $2 THEN 1 ELSE count + 1 END,
            blocked_until = CASE
                WHEN window_ends_at <= $2 THEN NULL
                WHEN count + 1 < $4 THEN NULL
                WHEN count + 1 = $4 THEN $5
                WHEN count + 1 = $4 + 1 THEN $6
                WHEN count + 1 = $4 + 2 THEN $7
                WHEN count + 1 = $4 + 3 THEN $8
                WHEN count + 1 = $4 + 4 THEN $9
                ELSE $10 END,
            window_ends_at = $3, expires_at = $3
        WHERE key = $1 AND (blocked_until IS NULL OR blocked_until <= $2)
        """
    )

    /// Counts a request in a window that does not slide.
    static let countRequest = Statement(
        "throttle.count_request",
        .writes,
        [.text, .instant, .instant],
        """
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at) VALUES ($1, 1, $3, $3)
        ON CONFLICT (key) DO UPDATE SET
            count = CASE WHEN rate_counters.window_ends_at <= $2 THEN 1 ELSE rate_counters.count + 1 END,
            expires_at = CASE WHEN rate_counters.window_ends_at <= $2 THEN $3 ELSE rate_counters.expires_at END,
            window_ends_at = CASE WHEN rate_counters.window_ends_at <= $2 THEN $3 ELSE rate_counters.window_ends_at END
        RETURNING count, window_ends_at
        """
    )

    static let clear = Statement("throttle.clear", .writes, [.text], "DELETE FROM rate_counters WHERE key = $1")

    static let deleteExpired = Statement(
        "throttle.delete_expired",
        .writes,
        [.instant, .integer],
        """
        DELETE FROM rate_counters WHERE key IN (
            SELECT key FROM rate_counters WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
        """
    )

    static let all = [take, read, countAttempt, countRequest, clear, deleteExpired]
}
