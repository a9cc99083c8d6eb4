package import Storage

extension SQLDatabase {
    /// Runs `body` in an interactive transaction of the engine behind this database, past its decorators.
    package func holdingTransaction<T: Sendable>(
        _ body: @Sendable @escaping (any SQLTransaction) throws -> T
    ) async throws -> T {
        if let engine = self as? any InteractiveDatabase { return try await engine.holdingTransaction(body) }
        guard let decorator = self as? any DatabaseDecorator else {
            throw TestDatabaseError(description: "no engine is behind \(Self.self)")
        }
        return try await decorator.base.holdingTransaction(body)
    }
}
