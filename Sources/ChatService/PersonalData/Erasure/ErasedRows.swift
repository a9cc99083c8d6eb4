// How an erasure removes the rows of a step.
//
// A step names the rows. Two statements count and remove them in one transaction, so the receipt is exact whatever dies
// in between. Both find the person through the erasure and only while the tombstone exists, so a caller's mistake
// cannot remove rows of a person who was not erased.
import Storage

/// Rows of one table that are removed with their owner.
struct ErasedRows: Sendable {
    static let batchSize = 500

    private static let owner = """
        (SELECT e.principal_id FROM erasures e
         WHERE e.id = :erasure AND \(OnePlan.check("e.completed_at IS NULL")) AND EXISTS (
             SELECT 1 FROM principals p
             WHERE p.id = e.principal_id AND \(OnePlan.check("p.erased_at IS NOT NULL")) LIMIT 1 OFFSET 0
         ))
        """

    let entity: String
    private let before: BoundStatement?
    private let count: Statement
    private let delete: Statement

    init(_ rows: ErasureStep.Rows) {
        let entity = rows.entity
        func keys(_ engine: SQLEngine) -> String { "\(rows.keys(Self.owner, engine)) LIMIT \(Self.batchSize)" }
        self.entity = entity
        before = rows.before
        count = Statement("erase.count_\(entity)", .writes, ["erasure": .text]) { engine in
            """
            INSERT INTO erasure_counts (erasure_id, entity, removed)
            SELECT e.id, '\(entity)', (SELECT COUNT(*) FROM (\(keys(engine))) AS batch)
            FROM erasures e WHERE e.id = :erasure AND \(OnePlan.check("e.completed_at IS NULL"))
            ON CONFLICT (erasure_id, entity) DO UPDATE SET removed = erasure_counts.removed + excluded.removed
            """
        }
        delete = Statement("erase.delete_\(entity)", .writes, ["erasure": .text]) { rows.delete(keys($0), $0) }
    }

    /// Removes a batch of an erasure's rows.
    ///
    /// - Returns: how many rows were removed.
    func remove(for erasure: String, in database: any SQLDatabase) async throws -> Int {
        var transaction = Transaction()
        transaction.add(ErasureStatements.lock(erasure: erasure))
        if let before { transaction.add(before) }
        transaction.add(count.bind(["erasure": erasure]))
        let deleted = transaction.add(delete.bind(["erasure": erasure]))
        return try await database.run(transaction, priority: .long)[deleted].affected
    }

    var statements: [Statement] { [count, delete] }
}
