// A statement is a name, one SQL text for both engines, and the types of its parameters.
//
// Statements are static values of a feature's `…Statements.swift`. Logs, metrics and the slow-statement report show the
// name, and never a parameter. The conformance suite executes every statement of both services on both engines, so a
// text that only one of them understands fails the tests.

/// One SQL statement, written once for both engines.
///
/// Parameters are written `:name` in any order and as often as needed. The declaration gives the type of each, and the
/// order in which their values are bound.
///
/// ```swift
/// private static let rename = Statement(
///     "tags.rename", .writes, ["id": .text, "name": .text],
///     "UPDATE tags SET name = :name WHERE id = :id RETURNING id"
/// )
/// static func rename(id: String, to name: TagName) -> BoundStatement {
///     rename.bind(["id": id, "name": name.text])
/// }
/// ```
package final class Statement: Sendable, Hashable {
    /// What the statement does, which decides the connection that runs it.
    package enum Effect: Sendable, Hashable {
        case reads
        case writes
        /// Changes rows and appends to an ordered log (see `OrderedLog`).
        case appends(OrderedLog)
    }

    /// `feature.intent`, for example `sessions.revoke`. Unique within a service.
    package let name: String
    /// What PostgreSQL runs, with `$1…$n`.
    package let sql: String
    /// What SQLite runs, with `?1…?n`.
    private let sqliteText: String
    /// Empty for a positional statement.
    package let parameterNames: [String]
    package let parameters: [SQLType]
    package let effect: Effect
    /// Whether SQLite may bind the values as a list: its text numbers them `?1…?n`.
    package let isNumbered: Bool
    /// What is wrong with the declaration: a name that only the text or only the declaration has. A statement with a
    /// fault never runs, and a test finds it.
    package let fault: String?
    private let nameHash: Int

    /// A statement with one text for both engines.
    package convenience init(_ name: String, _ effect: Effect, _ parameters: StatementParameters, _ sql: String) {
        self.init(name, effect, parameters, postgres: sql, sqlite: sql)
    }

    /// A statement without parameters.
    package convenience init(_ name: String, _ effect: Effect, _ sql: String) {
        self.init(name, effect, [:], postgres: sql, sqlite: sql)
    }

    /// A statement with a text for each engine: full-text search, lengths in bytes, sums that may overflow, and the day
    /// of an instant. The parameters mean the same in both.
    package init(
        _ name: String,
        _ effect: Effect,
        _ parameters: StatementParameters,
        postgres: String,
        sqlite: String
    ) {
        let names = parameters.names
        let compiler = NamedParameters(names)
        let forPostgres = compiler.compile(postgres, for: .postgres)
        let forSQLite = compiler.compile(sqlite, for: .sqlite)
        let unused = names.indices.filter {
            !forPostgres.used.contains($0 + 1) && !forSQLite.used.contains($0 + 1)
        }
        let undeclared = forPostgres.undeclared + forSQLite.undeclared
        let fault: String? =
            if Set(names).count < names.count {
                "a parameter is declared twice"
            } else if let unknown = undeclared.first {
                ":\(unknown) is not declared"
            } else if let first = unused.first {
                ":\(names[first]) is declared and not used"
            } else {
                nil
            }
        self.name = name
        self.effect = effect
        self.sql = forPostgres.text
        self.sqliteText = forSQLite.text
        self.parameterNames = names
        self.parameters = parameters.types
        self.isNumbered = true
        self.fault = fault
        nameHash = name.hashValue
    }

    /// A statement with an expression that each engine writes in its own way, such as `SQLEngine.octets` and `sum`.
    package convenience init(
        _ name: String,
        _ effect: Effect,
        _ parameters: StatementParameters,
        measuring text: (SQLEngine) -> String
    ) {
        self.init(name, effect, parameters, postgres: text(.postgres), sqlite: text(.sqlite))
    }

    /// A statement with `$1…$n` in its text, as programs before named parameters wrote them. Only tests of those
    /// programs' statements use it.
    package init(
        positional name: String,
        _ effect: Effect,
        _ parameters: [SQLType] = [],
        _ sql: String
    ) {
        self.name = name
        self.sql = sql
        self.sqliteText = sql
        self.parameterNames = []
        self.parameters = parameters
        self.effect = effect
        self.isNumbered = false
        self.fault = nil
        nameHash = name.hashValue
    }

    /// What an engine runs.
    package func text(for engine: SQLEngine) -> String {
        engine == .sqlite ? sqliteText : sql
    }

    /// Gives each parameter its value. Labels in the order of the declaration cost nothing; in another order they are
    /// looked up.
    package func bind(_ values: StatementValues = [:]) -> BoundStatement {
        let values = values.elements
        if values.count == parameterNames.count,
            zip(values, parameterNames).allSatisfy({ $0.0 == $1 })
        {
            return BoundStatement(self, values.map(\.1.sqlValue))
        }
        var ordered: [SQLValue] = []
        for name in parameterNames {
            guard let pair = values.first(where: { $0.0 == name }) else {
                return BoundStatement(self, ordered, fault: "no value for :\(name)")
            }
            ordered.append(pair.1.sqlValue)
        }
        let surplus = values.count == parameterNames.count ? nil : "more values than parameters"
        return BoundStatement(self, ordered, fault: surplus)
    }

    package static func == (a: Statement, b: Statement) -> Bool {
        a === b || a.name == b.name && a.sql == b.sql
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(nameHash) }
}

/// A log whose rows must become visible in the order of their numbers, so that a reader of `seq > $after` never misses
/// one that commits late.
///
/// On PostgreSQL a batch that appends *starts* by taking the log's advisory lock, before any row lock, and ends with
/// `pg_notify` on its channel. On SQLite the single writer gives the order.
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

/// A statement with its values, ready to run. Engines refuse a count or type that does not fit the declaration before
/// anything is sent.
package struct BoundStatement: Sendable {
    package let statement: Statement
    package let values: [SQLValue]
    /// Why the values do not fit the declaration, as far as `bind` saw it.
    private let fault: String?

    package init(_ statement: Statement, _ values: [SQLValue], fault: String? = nil) {
        self.statement = statement
        self.values = values
        self.fault = fault ?? statement.fault
    }

    /// Throws `StorageError.invalidBinding` when values and declaration differ, or when a text holds U+0000, which
    /// PostgreSQL cannot store and C APIs of SQLite would silently truncate.
    package func validate() throws(StorageError) {
        if let fault { throw .invalidBinding(statement: statement.name, reason: fault) }
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
