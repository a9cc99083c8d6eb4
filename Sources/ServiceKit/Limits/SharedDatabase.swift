// The database as requests see it: reads wait for their person's share, and what they return is counted.
//
// Reads of a request without a proved account have no share: many people may be behind the network of a sign-in, and
// behind that of a gateway.
//
// How large a result is shows only when it is there. So a request that finds no memory for one frees it, waits until
// there is memory for its size, and reads again.
package import Storage

/// Stands before the database that features use. Work without a request, such as a job, passes as it is.
package struct SharedDatabase: DatabaseDecorator {
    package let base: any SQLDatabase
    private let shares: ReaderShares
    private let longShares: ReaderShares

    /// Smaller results are not counted.
    private static let threshold = 64 << 10
    /// A result is itself, and the text that is made of it, which is copied once as it grows.
    private static let factor = 3

    package init(_ base: any SQLDatabase) {
        self.base = base
        // SQLite has four readers. PostgreSQL has two, and three connections for what is long.
        shares = ReaderShares(share: base.engine == .sqlite ? 2 : 1)
        longShares = ReaderShares(share: 1, maxWidth: 1)
    }

    package func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        guard let scope = RequestScope.current, transaction.onlyReads else {
            return try await base.run(transaction, priority: priority)
        }
        func read() async throws(StorageError) -> TransactionResults {
            guard case .person(let person)? = scope.account else {
                return try await base.run(transaction, priority: priority)
            }
            let shares = priority == .long && base.engine == .postgres ? longShares : shares
            return try await shares.run(of: person) { () async throws(StorageError) in
                try await base.run(transaction, priority: priority)
            }
        }
        var results = try await read()
        let size = results.byteCount * Self.factor
        guard size > Self.threshold * Self.factor, !scope.takeNow(result: size) else { return results }
        results = TransactionResults([])
        do { try await scope.take(result: size) } catch { throw .memoryExhausted }
        return try await read()
    }
}
