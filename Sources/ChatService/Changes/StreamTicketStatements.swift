import ServiceKit
import Storage

enum StreamTicketStatements {
    private static let insert = Statement(
        "stream_tickets.insert",
        .writes,
        ["hash": .text, "owner": .text, "sealed": .text, "expires_at": .instant, "limit": .integer],
        """
        INSERT INTO stream_tickets (ticket_hash, principal_id, sealed_token, expires_at)
        SELECT :hash, principals.id, :sealed, :expires_at FROM principals
        WHERE principals.id = :owner AND \(Principals.mayWrite(principal: ":owner")) AND :limit > (
            SELECT COUNT(*) FROM (
                SELECT 1 FROM stream_tickets t WHERE \(OnePlan.group("t.principal_id", is: ":owner"))
                ORDER BY t.principal_id, t.expires_at LIMIT :limit
            ) AS open
        )
        RETURNING ticket_hash
        """
    )

    /// No row if the owner has too many.
    static func insert(hash: String, owner: String, sealed: String, expiresAt: Instant) -> BoundStatement {
        insert.bind([
            "hash": hash, "owner": owner, "sealed": sealed, "expires_at": expiresAt, "limit": StreamTickets.maxOpen,
        ])
    }

    private static let deleteOwn = Statement(
        "stream_tickets.delete_own_expired",
        .writes,
        ["owner": .text, "now": .instant],
        "DELETE FROM stream_tickets WHERE principal_id = :owner AND expires_at <= :now"
    )

    static func deleteExpired(of owner: String, at now: Instant) -> BoundStatement {
        deleteOwn.bind(["owner": owner, "now": now])
    }

    private static let use = Statement(
        "stream_tickets.use",
        .writes,
        ["hash": .text],
        "DELETE FROM stream_tickets WHERE ticket_hash = :hash RETURNING sealed_token, expires_at"
    )

    static func use(hash: String) -> BoundStatement { use.bind(["hash": hash]) }

    private static let deleteExpired = Statement(
        "stream_tickets.delete_expired",
        .writes,
        ["now": .instant, "limit": .integer],
        """
        DELETE FROM stream_tickets
        WHERE expires_at <= :now AND ticket_hash IN (
            SELECT ticket_hash FROM stream_tickets WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
        )
        """
    )

    static let cleanup = CleanupStep("chat_stream_tickets") { deleteExpired.bind(["now": $0, "limit": $1]) }

    static let erasure = [
        ErasureStep(
            "stream_tickets",
            keys: { owner in
                """
                SELECT ticket_hash FROM stream_tickets
                WHERE \(OnePlan.group("principal_id", is: owner)) ORDER BY principal_id, expires_at
                """
            },
            delete: { "DELETE FROM stream_tickets WHERE \(OnePlan.among("ticket_hash", $0, $1))" }
        )
    ]

    static let all = [insert, deleteOwn, use, deleteExpired]
}
