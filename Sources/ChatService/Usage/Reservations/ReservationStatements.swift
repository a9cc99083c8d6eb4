// SQL of `quota_reservations`.
import Storage

enum ReservationStatements {
    private static func used(_ engine: SQLEngine, since day: String) -> String {
        """
        (
                SELECT \(engine.sum(of: "t.tokens_total")) FROM usage_totals t
                WHERE t.user_id = $2 AND t.day >= \(day) AND t.day <= $9
            )
        """
    }

    private static func reserved(_ engine: SQLEngine) -> String {
        """
        (
                SELECT \(engine.sum(of: "r.tokens")) FROM quota_reservations r
                WHERE r.user_id = $2 AND r.expires_at > $5
            )
        """
    }

    static let insert = Statement(
        "reservations.insert",
        .writes,
        [
            .text, .text, .text, .integer, .instant, .instant, .integer, .integer, .text, .text, .integer,
        ]
    ) { engine in
        """
        INSERT INTO quota_reservations (id, user_id, model, tokens, created_at, expires_at)
        SELECT $1, principals.id, $3, $4, $5, $6
        FROM principals WHERE principals.id = $2 AND \(PrincipalStatements.mayWrite("$2"))
            AND ($7 IS NULL OR $4 + \(used(engine, since: "$9")) + \(reserved(engine)) <= $7)
            AND ($8 IS NULL OR $4 + \(used(engine, since: "$10")) + \(reserved(engine)) <= $8)
            AND $11 > (SELECT COUNT(*) FROM quota_reservations r WHERE r.user_id = $2 AND r.expires_at > $5)
        RETURNING id
        """
    }

    static let deleteExpired = Statement(
        "reservations.delete_expired",
        .writes,
        [.text, .instant],
        "DELETE FROM quota_reservations WHERE user_id = $1 AND expires_at < $2"
    )

    /// A reservation that ran out before `cutoff` is none any more, whether its row has been removed or not.
    private static func own(_ cutoff: String) -> String {
        """
        FROM quota_reservations r
        WHERE r.id = $1 AND r.user_id = $2 AND r.expires_at >= \(cutoff) AND \(PrincipalStatements.mayWrite("$2"))
        """
    }

    static let record = Statement(
        "reservations.record",
        .writes,
        [.text, .text, .integer, .integer, .integer, .instant, .instant],
        """
        INSERT INTO usage_events (user_id, model, tokens_in, tokens_out, tokens_total, created_at)
        SELECT r.user_id, r.model, $3, $4, $5, $6 \(own("$7"))
        """
    )

    static let count = Statement(
        "reservations.count",
        .writes,
        [.text, .text, .integer, .integer, .integer, .text, .instant],
        """
        INSERT INTO usage_totals (user_id, day, model, tokens_in, tokens_out, tokens_total)
        SELECT r.user_id, $6, COALESCE(r.model, ''), $3, $4, $5 \(own("$7"))
        ON CONFLICT (user_id, day, model) DO UPDATE SET
            tokens_in = usage_totals.tokens_in + excluded.tokens_in,
            tokens_out = usage_totals.tokens_out + excluded.tokens_out,
            tokens_total = usage_totals.tokens_total + excluded.tokens_total
        """
    )

    static let spend = Statement(
        "reservations.spend",
        .writes,
        [.text, .text, .integer, .instant],
        "UPDATE principals SET tokens_total = tokens_total + $3 WHERE id = $2 AND EXISTS (SELECT 1 \(own("$4")))"
    )

    static let delete = Statement(
        "reservations.delete",
        .writes,
        [.text, .text, .instant],
        """
        DELETE FROM quota_reservations
        WHERE id = $1 AND user_id = $2 AND expires_at >= $3 AND \(PrincipalStatements.mayWrite("$2"))
        RETURNING id
        """
    )

    /// Who has reservations that ran out before `$1`, for the cleanup; the same person more than once.
    static let ownersOfExpired = Statement(
        "reservations.owners_of_expired",
        .reads,
        [.instant, .integer],
        "SELECT user_id AS owner_id FROM quota_reservations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2"
    )

    static let all = [insert, deleteExpired, ownersOfExpired, record, count, spend, delete]
}
