// A statement is a name, one SQL text for both engines, and the types of its parameters.
//
// Statements are static values of a feature's `…Statements.swift`. The name is what logs, metrics and the
// slow-statement report show; parameters never appear there. The conformance suite executes every statement
// of both services on both engines, so a text that only one of them understands cannot land.

/// One SQL statement, written once for both engines.
///
/// Parameters are `$1…$n` in any order and as often as needed; `parameters[i]` is the type of `$(i+1)`.
package struct Statement: Sendable, Hashable {
    /// What the statement does, which decides the connection it may run on.
    package enum Effect: Sendable, Hashable {
        /// Reads only.
        case reads
        /// Changes rows.
        case writes
        /// Changes rows and appends to an ordered log (see `OrderedLog`).
        case appends(OrderedLog)
    }

    /// `feature.intent`, for example `sessions.revoke`. Unique within a service.
    package let name: String
    package let sql: String
    /// What SQLite runs instead, where the engines have no words in common: full-text search, lengths in bytes, sums
    /// that may be too great, and the day of an instant.
    package let sqliteText: String?
    package let parameters: [SQLType]
    package let effect: Effect

    package init(_ name: String, _ effect: Effect, _ parameters: [SQLType] = [], _ sql: String) {
        self.name = name
        self.sql = sql
        self.sqliteText = nil
        self.parameters = parameters
        self.effect = effect
    }

    /// A statement that each engine says in its own way; the parameters mean the same to both.
    package init(_ name: String, _ effect: Effect, _ parameters: [SQLType], postgres: String, sqlite: String) {
        self.name = name
        self.sql = postgres
        self.sqliteText = sqlite
        self.parameters = parameters
        self.effect = effect
    }

    /// A statement with a length in bytes or a sum in it (see `SQLEngine.octets` and `sum`), which alone each engine says in
    /// its own way.
    package init(_ name: String, _ effect: Effect, _ parameters: [SQLType], measuring text: (SQLEngine) -> String) {
        self.init(name, effect, parameters, postgres: text(.postgres), sqlite: text(.sqlite))
    }

    /// What an engine runs.
    package func text(for engine: SQLEngine) -> String {
        engine == .sqlite ? sqliteText ?? sql : sql
    }

    /// Binds values to `$1…$n`.
    package func callAsFunction(_ values: any SQLBindable...) -> BoundStatement {
        BoundStatement(self, values.map(\.sqlValue))
    }

    package static func == (a: Statement, b: Statement) -> Bool { a.name == b.name && a.sql == b.sql }
    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// A log whose rows must become visible in the order of their sequence number, so that a reader with
/// `seq > $after` never misses one that commits late.
///
/// On PostgreSQL a batch with a statement that appends *starts* by taking the log's advisory lock, before any
/// row lock, and ends with `pg_notify` on its channel. On SQLite the one writer gives the order.
package struct OrderedLog: Sendable, Hashable {
    /// The key of `pg_advisory_xact_lock`, unique in the project.
    package let lockKey: Int64
    /// The channel of `LISTEN`/`NOTIFY`; a plain identifier.
    package let channel: String

    package init(lockKey: Int64, channel: String) {
        self.lockKey = lockKey
        self.channel = channel
    }
}

/// A statement with its values, ready to run. Engines refuse a count or type that does not fit the
/// declaration before anything is sent.
package struct BoundStatement: Sendable {
    package let statement: Statement
    package let values: [SQLValue]

    package init(_ statement: Statement, _ values: [SQLValue]) {
        self.statement = statement
        self.values = values
    }

    /// Throws `StorageError.invalidBinding` when values and declaration differ, or a text holds U+0000,
    /// which PostgreSQL cannot store and SQLite would silently truncate in C APIs.
    package func validate() throws(StorageError) {
        guard values.count == statement.parameters.count else {
            throw .invalidBinding(
                statement: statement.name,
                reason: "\(values.count) values for \(statement.parameters.count) parameters"
            )
        }
        for (index, (value, declared)) in zip(values, statement.parameters).enumerated() {
            if let type = value.type, type != declared {
                throw .invalidBinding(
                    statement: statement.name,
                    reason: "$\(index + 1) is declared \(declared), not \(type)"
                )
            }
            if case .text(let text) = value, text.utf8.contains(0) {
                throw .invalidBinding(statement: statement.name, reason: "$\(index + 1) contains U+0000")
            }
        }
    }
}
