import ServiceKit
import Storage

enum ReservationStatements {
    private static func used(_ engine: SQLEngine, since day: String) -> String {
        """
        (
                SELECT \(engine.sum(of: "t.tokens_total + t.tokens_returned")) FROM usage_totals t
                WHERE t.user_id = :owner AND t.day >= \(day) AND t.day <= :day
            )
        """
    }

    private static func reserved(_ engine: SQLEngine) -> String {
        """
        (
                SELECT \(engine.sum(of: "r.tokens")) FROM quota_reservations r
                WHERE r.user_id = :owner AND r.expires_at > :now
            )
        """
    }

    private static let insert = Statement(
        "reservations.insert",
        .writes,
        [
            "id": .text, "owner": .text, "model": .text, "tokens": .integer, "now": .instant, "expires_at": .instant,
            "per_day": .integer, "per_month": .integer, "day": .text, "month": .text, "count": .integer,
        ]
    ) { engine in
        """
        INSERT INTO quota_reservations (id, user_id, model, tokens, created_at, expires_at)
        SELECT :id, principals.id, :model, :tokens, :now, :expires_at
        FROM principals WHERE principals.id = :owner AND \(Principals.mayWrite(principal: ":owner"))
            AND (:per_day IS NULL OR :tokens + \(used(engine, since: ":day")) + \(reserved(engine)) <= :per_day)
            AND (:per_month IS NULL OR :tokens + \(used(engine, since: ":month")) + \(reserved(engine)) <= :per_month)
            AND :count > (
                SELECT COUNT(*) FROM quota_reservations r WHERE r.user_id = :owner AND r.expires_at > :now
            )
        RETURNING id
        """
    }

    /// Succeeds if the limits have room and the person has fewer than `count`.
    static func insert(
        id: String,
        owner: String,
        model: RequestText?,
        tokens: Int64,
        within limits: Quotas.Limits,
        count: Int64,
        at now: Instant,
        until expiresAt: Instant
    ) -> BoundStatement {
        let day = UsageDay(now)
        return insert.bind([
            "id": id, "owner": owner, "model": model, "tokens": tokens, "now": now, "expires_at": expiresAt,
            "per_day": limits.tokensPerDay, "per_month": limits.tokensPerMonth, "day": day.text,
            "month": day.monthBegin, "count": count,
        ])
    }

    private static let deleteExpired = Statement(
        "reservations.delete_expired",
        .writes,
        ["owner": .text, "before": .instant],
        "DELETE FROM quota_reservations WHERE user_id = :owner AND expires_at < :before"
    )

    static func deleteExpired(of owner: String, before cutoff: Instant) -> BoundStatement {
        deleteExpired.bind(["owner": owner, "before": cutoff])
    }

    /// A reservation that expired before `:cutoff` no longer exists, whether its row has been removed or not.
    private static let own = """
        FROM quota_reservations r
        WHERE r.id = :id AND \(OnePlan.check("r.user_id = :owner AND r.expires_at >= :cutoff"))
            AND \(Principals.mayWrite(principal: ":owner"))
        """

    private static let settlement: StatementParameters = [
        "id": .text, "owner": .text, "tokens_in": .integer, "tokens_out": .integer, "tokens_total": .integer,
        "cutoff": .instant,
    ]

    /// A settlement replaces a reservation.
    struct Settlement {
        let id: String
        let owner: String
        let tokensIn: Int64
        let tokensOut: Int64
        let tokensTotal: Int64
        /// A reservation that expired before this instant can no longer be settled.
        let cutoff: Instant

        fileprivate var values: StatementValues {
            [
                "id": id, "owner": owner, "tokens_in": tokensIn, "tokens_out": tokensOut, "tokens_total": tokensTotal,
                "cutoff": cutoff,
            ]
        }
    }

    private static let record = Statement(
        "reservations.record",
        .writes,
        settlement + ["now": .instant],
        """
        INSERT INTO usage_events (user_id, model, tokens_in, tokens_out, tokens_total, created_at)
        SELECT r.user_id, r.model, :tokens_in, :tokens_out, :tokens_total, :now \(own)
        """
    )

    static func record(settlement: Settlement, at now: Instant) -> BoundStatement {
        record.bind(settlement.values + ["now": now])
    }

    private static let count = Statement(
        "reservations.count",
        .writes,
        settlement + ["day": .text],
        """
        INSERT INTO usage_totals (user_id, day, model, tokens_in, tokens_out, tokens_total)
        SELECT r.user_id, :day, COALESCE(r.model, ''), :tokens_in, :tokens_out, :tokens_total \(own)
        ON CONFLICT (user_id, day, model) DO UPDATE SET
            tokens_in = usage_totals.tokens_in + excluded.tokens_in,
            tokens_out = usage_totals.tokens_out + excluded.tokens_out,
            tokens_total = usage_totals.tokens_total + excluded.tokens_total
        """
    )

    static func count(settlement: Settlement, on day: UsageDay) -> BoundStatement {
        count.bind(settlement.values + ["day": day.text])
    }

    private static let spend = Principals.addingTokens(
        name: "reservations.spend",
        parameters: ["id": .text, "owner": .text, "tokens": .integer, "cutoff": .instant],
        if: "EXISTS (SELECT 1 \(own))"
    )

    static func spend(settlement: Settlement) -> BoundStatement {
        spend.bind([
            "id": settlement.id, "owner": settlement.owner, "tokens": settlement.tokensTotal,
            "cutoff": settlement.cutoff,
        ])
    }

    private static let delete = Statement(
        "reservations.delete",
        .writes,
        ["id": .text, "owner": .text, "cutoff": .instant],
        """
        DELETE FROM quota_reservations
        WHERE id = :id AND \(OnePlan.check("user_id = :owner AND expires_at >= :cutoff"))
            AND \(Principals.mayWrite(principal: ":owner"))
        RETURNING id
        """
    )

    static func delete(id: String, owner: String, cutoff: Instant) -> BoundStatement {
        delete.bind(["id": id, "owner": owner, "cutoff": cutoff])
    }

    private static let ownersOfExpired = Statement(
        "reservations.owners_of_expired",
        .reads,
        ["before": .instant, "limit": .integer],
        "SELECT user_id AS owner_id FROM quota_reservations WHERE expires_at < :before ORDER BY expires_at LIMIT :limit"
    )

    /// Under the lock of their owner's row, as with every write.
    static let cleanup = CleanupStep(
        "chat_reservations",
        owners: { ownersOfExpired.bind(["before": $0 - Reservations.abandonedAfter, "limit": $1]) },
        remove: { owner, pass in
            var transaction = Transaction(behind: owner)
            let deleted = transaction.add(deleteExpired(of: owner, before: pass.now - Reservations.abandonedAfter))
            pass.count(try await pass.run(transaction)[deleted].affected, as: "chat_reservations")
        }
    )

    static let erasure = [
        ErasureStep(
            "quota_reservations",
            keys: { owner in
                """
                SELECT id FROM quota_reservations
                WHERE \(OnePlan.group("user_id", is: owner)) ORDER BY user_id, expires_at
                """
            },
            delete: { "DELETE FROM quota_reservations WHERE \(OnePlan.among("id", $0, $1))" }
        )
    ]

    static let all = [insert, deleteExpired, ownersOfExpired, record, count, spend, delete]
}
