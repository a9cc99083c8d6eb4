// Interactive transactions and the migrator's connection: one statement, one round trip.

import Storage

extension Connection {
    /// Runs `body` between BEGIN and COMMIT; an error rolls back. If a prepared statement turns out stale, nothing was
    /// committed and `body` runs once more.
    func transaction<T>(_ body: (any SQLTransaction) throws -> T) throws -> T {
        hasStalePlan = false
        do {
            return try attempt(body)
        } catch {
            guard hasStalePlan, !isLost else { throw error }
            return try attempt(body)
        }
    }

    private func attempt<T>(_ body: (any SQLTransaction) throws -> T) throws -> T {
        try command("BEGIN")
        let transaction = PostgresTransaction(connection: self)
        do {
            let value = try body(transaction)
            if let failure = transaction.failure { throw failure }
            for log in transaction.logs {
                try transaction.run(OrderedLogStatements.notify.bind(["channel": log.channel]))
            }
            try commitTransaction()
            return value
        } catch {
            // A connection that cannot roll back is not used again; the server rolls back when it closes.
            if !isLost, (try? command("ROLLBACK")) == nil { isLost = true }
            throw error
        }
    }

    /// Runs one statement in the open transaction.
    func runAlone(_ bound: BoundStatement) throws(StorageError) -> SQLResult {
        try bound.validateForPostgres()
        if !isPrepared(bound.statement), let refused = try prepare([bound.statement])[bound.statement] { throw refused }
        guard let prepared = preparation(of: bound.statement) else {
            throw .unavailable(reason: "\(bound.statement.name) could not be prepared")
        }
        notices.standbyMayLack = false
        let exchange = run([.execute(prepared, bound), .sync])
        switch exchange.results[0] {
        case .done(let result, _):
            try requireReplication()
            return result
        case .refused(let error):
            if error.isStalePlan {
                forgetPreparations()
                hasStalePlan = true
            }
            throw storageError(error, bound.statement.name)
        case .unreadable(let error): throw error
        case .none: throw .unavailable(reason: exchange.lost ?? "the connection was lost")
        }
    }

    private func command(_ sql: String) throws(StorageError) {
        let exchange = run([.command(sql), .sync])
        switch exchange.results[0] {
        case .done: return
        case .refused(let error): throw storageError(error, sql)
        case .unreadable(let error): throw error
        case .none: throw .unavailable(reason: exchange.lost ?? "the connection was lost")
        }
    }

    private func commitTransaction() throws(StorageError) {
        notices.standbyMayLack = false
        let exchange = run([.command("COMMIT"), .sync])
        switch exchange.results[0] {
        case .done(_, tag: "COMMIT"): try requireReplication()
        // The server answers a COMMIT of a failed transaction with this tag and no error.
        case .done: throw .statementFailed(statement: "commit", code: "25P02")
        case .refused(let error):
            guard exchange.lost == nil else { throw .outcomeUnknown(reason: "the server ended with \(error.sqlState)") }
            throw storageError(error, "commit")
        case .unreadable(let error): throw error
        case .none:
            let reason = exchange.lost ?? "the connection was lost"
            throw exchange.wasSent ? .outcomeUnknown(reason: reason) : .unavailable(reason: reason)
        }
    }
}

/// The connection inside an interactive transaction.
private final class PostgresTransaction: SQLTransaction {
    private let connection: Connection
    private(set) var failure: StorageError?
    private(set) var logs: Set<OrderedLog> = []

    init(connection: Connection) { self.connection = connection }

    @discardableResult
    func run(_ statement: BoundStatement) throws(StorageError) -> SQLResult {
        if let failure { throw failure }
        do throws(StorageError) {
            if case .appends(let log) = statement.statement.effect, logs.insert(log).inserted {
                // Before the row gets its number, and held to the commit.
                _ = try connection.runAlone(OrderedLogStatements.lock.bind(["key": log.lockKey]))
            }
            return try connection.runAlone(statement)
        } catch {
            failure = error
            throw error
        }
    }
}

/// The connection that holds the migration lock.
struct PostgresMigrationConnection: SQLMigrationConnection {
    let connection: Connection

    func run(_ statement: BoundStatement) throws(StorageError) -> SQLResult {
        try connection.runAlone(statement)
    }

    func execute(script: String) throws(StorageError) {
        try connection.execute(script: script)
    }
}
