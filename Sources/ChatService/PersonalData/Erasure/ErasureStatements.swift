import Storage

enum ErasureStatements {
    private static let begin = Statement(
        "erasures.begin",
        .writes,
        ["id": .text, "principal": .text, "reason": .text, "requester": .text, "now": .instant],
        """
        INSERT INTO erasures (id, principal_id, reason, requested_by, requested_at)
        SELECT :id, p.id, :reason, :requester, :now FROM principals p WHERE p.id = :principal AND p.erased_at IS NOT NULL
        ON CONFLICT (principal_id) DO NOTHING
        """
    )

    /// Makes the receipt of a principal that has a tombstone and no receipt yet.
    static func begin(
        id: String,
        principal: String,
        reason: ErasureReason,
        requester: String?,
        at now: Instant
    ) -> BoundStatement {
        begin.bind([
            "id": id, "principal": principal, "reason": reason.rawValue, "requester": requester, "now": now,
        ])
    }

    private static let lock = Statement(
        "erasures.lock",
        .writes,
        ["erasure": .text],
        "UPDATE erasures SET completed_at = NULL WHERE id = :erasure AND completed_at IS NULL"
    )

    /// Two nodes at one erasure take turns, so each row is counted once.
    static func lock(erasure: String) -> BoundStatement { lock.bind(["erasure": erasure]) }

    private static let complete = Statement(
        "erasures.complete",
        .writes,
        ["erasure": .text, "now": .instant],
        "UPDATE erasures SET completed_at = :now WHERE id = :erasure AND completed_at IS NULL"
    )

    static func complete(erasure: String, at now: Instant) -> BoundStatement {
        complete.bind(["erasure": erasure, "now": now])
    }

    private static let open = Statement(
        "erasures.open",
        .reads,
        ["requested_at": .instant, "id": .text, "limit": .integer],
        """
        SELECT id, requested_at FROM erasures
        WHERE completed_at IS NULL AND (requested_at, id) > (:requested_at, :id)
        ORDER BY requested_at, id LIMIT :limit
        """
    )

    /// The oldest first.
    static func open(requestedAfter requestedAt: Instant, id: String, limit: Int64) -> BoundStatement {
        open.bind(["requested_at": requestedAt, "id": id, "limit": limit])
    }

    private static let columns =
        "e.id, e.principal_id, e.reason, e.requested_by, e.requested_at, e.completed_at, c.entity, c.removed"

    private static let receipt = Statement(
        "erasures.receipt",
        .reads,
        ["principal": .text],
        """
        SELECT \(columns) FROM erasures e LEFT JOIN erasure_counts c ON c.erasure_id = e.id
        WHERE e.principal_id = :principal ORDER BY c.entity
        """
    )

    /// One row for each kind of removed row, or one without.
    static func receipt(of principal: String) -> BoundStatement { receipt.bind(["principal": principal]) }

    private static let receiptByID = Statement(
        "erasures.receipt_by_id",
        .reads,
        ["erasure": .text],
        """
        SELECT \(columns) FROM erasures e LEFT JOIN erasure_counts c ON c.erasure_id = e.id
        WHERE e.id = :erasure ORDER BY c.entity
        """
    )

    static func receipt(erasure: String) -> BoundStatement { receiptByID.bind(["erasure": erasure]) }

    static func all(removing steps: [ErasureStep]) -> [Statement] {
        [begin, lock, complete, open, receipt, receiptByID]
            + steps.flatMap(\.rows).flatMap { ErasedRows($0).statements }
    }
}
