// What a cleanup removes, declared beside the statements of the feature that owns the rows. A cleanup knows steps, and no
// tables.
package import Storage

/// One kind of rows that nothing can need any more.
package struct CleanupStep: Sendable {
    /// What the rows are, in reports and metrics.
    package let name: String
    /// Adds statements to a transaction. Each whose handle is returned removes at most `limit` rows, which are counted.
    package let add:
        @Sendable (_ transaction: inout Transaction, _ now: Instant, _ limit: Int64) -> [Transaction.Handle]

    package init(
        _ name: String,
        add: @escaping @Sendable (inout Transaction, Instant, Int64) -> [Transaction.Handle]
    ) {
        self.name = name
        self.add = add
    }

    /// A step of one statement.
    package init(_ name: String, _ statement: @escaping @Sendable (Instant, Int64) -> BoundStatement) {
        self.init(name) { transaction, now, limit in [transaction.add(statement(now, limit))] }
    }
}
