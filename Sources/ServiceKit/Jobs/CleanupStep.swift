// Each feature declares its cleanup beside its statements. A cleanup knows steps, not tables.
package import Storage

package struct CleanupStep: Sendable {
    /// For reports and metrics.
    package let name: String
    /// Each statement whose handle is returned removes at most `limit` rows, which are counted.
    package let add:
        @Sendable (_ transaction: inout Transaction, _ now: Instant, _ limit: Int64) -> [Transaction.Handle]

    package init(
        _ name: String,
        add: @escaping @Sendable (inout Transaction, Instant, Int64) -> [Transaction.Handle]
    ) {
        self.name = name
        self.add = add
    }

    package init(_ name: String, _ statement: @escaping @Sendable (Instant, Int64) -> BoundStatement) {
        self.init(name) { transaction, now, limit in [transaction.add(statement(now, limit))] }
    }
}
