// SQL of `erasures` and `erasure_counts`; what removes rows is made by EraseStep.swift.
import Storage

enum ErasureStatements {
    /// The receipt of whoever has a tombstone and none yet.
    static let begin = Statement(
        "erasures.begin",
        .writes,
        [.text, .text, .text, .text, .instant],
        """
        INSERT INTO erasures (id, principal_id, reason, requested_by, requested_at)
        SELECT $1, p.id, $3, $4, $5 FROM principals p WHERE p.id = $2 AND p.erased_at IS NOT NULL
        ON CONFLICT (principal_id) DO NOTHING
        """
    )

    /// The lock of a unit that removes rows: two nodes at one erasure take turns, and each row is counted once.
    static let lock = Statement(
        "erasures.lock",
        .writes,
        [.text],
        "UPDATE erasures SET completed_at = NULL WHERE id = $1 AND completed_at IS NULL"
    )

    static let complete = Statement(
        "erasures.complete",
        .writes,
        [.text, .instant],
        "UPDATE erasures SET completed_at = $2 WHERE id = $1 AND completed_at IS NULL"
    )

    /// Those after a place, the oldest first.
    static let open = Statement(
        "erasures.open",
        .reads,
        [.instant, .text, .integer],
        """
        SELECT id, requested_at FROM erasures
        WHERE completed_at IS NULL AND (requested_at, id) > ($1, $2)
        ORDER BY requested_at, id LIMIT $3
        """
    )

    private static let columns =
        "e.id, e.principal_id, e.reason, e.requested_by, e.requested_at, e.completed_at, c.entity, c.removed"

    /// One row for each kind of row that went, or one without.
    static let receipt = Statement(
        "erasures.receipt",
        .reads,
        [.text],
        """
        SELECT \(columns) FROM erasures e LEFT JOIN erasure_counts c ON c.erasure_id = e.id
        WHERE e.principal_id = $1 ORDER BY c.entity
        """
    )

    static let receiptByID = Statement(
        "erasures.receipt_by_id",
        .reads,
        [.text],
        """
        SELECT \(columns) FROM erasures e LEFT JOIN erasure_counts c ON c.erasure_id = e.id
        WHERE e.id = $1 ORDER BY c.entity
        """
    )

    static let all = [begin, lock, complete, open, receipt, receiptByID] + EraseStep.statements
}
