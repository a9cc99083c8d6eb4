// Each feature declares its cleanup beside its statements. A cleanup knows steps, not tables.
package import Storage

package struct CleanupStep: Sendable {
    /// For reports and metrics.
    let names: [String]
    let run: @Sendable (inout CleanupPass) async throws -> Void

    private init(_ names: [String], run: @escaping @Sendable (inout CleanupPass) async throws -> Void) {
        self.names = names
        self.run = run
    }

    /// Repeats a transaction while there may be more rows. Each statement whose handle `add` returns removes at most
    /// `limit` rows, which are counted.
    package init(
        _ name: String,
        add:
            @escaping @Sendable (_ transaction: inout Transaction, _ now: Instant, _ limit: Int64)
            -> [Transaction.Handle]
    ) {
        self.init([name]) { pass in
            while true {
                var transaction = Transaction()
                let limit = pass.size.count
                let batches = add(&transaction, pass.now, limit)
                let begin = ContinuousClock.now
                let results = try await pass.run(transaction)
                pass.size.took(.now - begin)
                let removed = batches.map { results[$0].affected }
                pass.count(removed.reduce(0, +), as: name)
                if removed.allSatisfy({ $0 < Int(limit) }) { return }
            }
        }
    }

    package init(_ name: String, _ statement: @escaping @Sendable (Instant, Int64) -> BoundStatement) {
        self.init(name) { transaction, now, limit in [transaction.add(statement(now, limit))] }
    }

    /// Proceeds owner by owner.
    ///
    /// - Parameters:
    ///   - names: what is counted.
    ///   - owners: reads the `owner_id` of up to `limit` remaining rows; an owner may repeat.
    ///   - remove: removes the rows of one owner. What stays is for the next pass.
    package init(
        _ names: String...,
        owners: @escaping @Sendable (_ now: Instant, _ limit: Int64) -> BoundStatement,
        remove: @escaping @Sendable (_ owner: String, _ pass: inout CleanupPass) async throws -> Void
    ) {
        self.init(names) { pass in
            var done: Set<String> = []
            while true {
                var read = Transaction()
                let found = read.add(owners(pass.now, CleanupPass.maxOwners))
                let rows = try await pass.run(read)[found].rows
                let new = try rows.map { try $0.text("owner_id") }.filter { done.insert($0).inserted }
                if new.isEmpty { return }
                for owner in new {
                    try await pass.renew()
                    try await remove(owner, &pass)
                }
            }
        }
    }
}

/// A pass as one step sees it.
package struct CleanupPass {
    fileprivate static let maxOwners: Int64 = 100

    let database: any SQLDatabase
    let clock: Clock
    /// Keeps the lease; called before each transaction and each owner.
    let renew: @Sendable () async throws -> Void
    private(set) var removed: [String: Int] = [:]
    /// Rows that one statement removes.
    var size = StepSize(limit: 500)

    package var now: Instant { clock.now() }

    package mutating func count(_ rows: Int, as name: String) { removed[name, default: 0] += rows }

    package func run(_ transaction: Transaction) async throws -> TransactionResults {
        try await renew()
        return try await database.run(transaction, priority: .long)
    }
}
