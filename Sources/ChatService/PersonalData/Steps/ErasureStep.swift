// What an erasure removes of an area's rows. Each area declares its steps beside its statements. Every table with
// personal data has a step; a test searches the database for a marker afterwards.
import Storage

/// Rows that are removed with their owner.
struct ErasureStep: Sendable {
    /// Rows of one table.
    struct Rows: Sendable {
        /// The rows' name in the receipt.
        let entity: String
        /// Runs first in each transaction.
        let before: BoundStatement?
        /// Selects the keys of the rows that `owner`, an SQL expression, owns, without a limit.
        let keys: @Sendable (_ owner: String, _ engine: SQLEngine) -> String
        /// Deletes the rows whose keys a query selects.
        let delete: @Sendable (_ keys: String, _ engine: SQLEngine) -> String
    }

    /// They take turns until none finds anything.
    let rows: [Rows]

    private init(_ rows: [Rows]) {
        self.rows = rows
    }

    /// Rows of one table; see `Rows`.
    init(
        _ entity: String,
        before: BoundStatement? = nil,
        keys: @escaping @Sendable (_ owner: String) -> String,
        delete: @escaping @Sendable (_ keys: String, _ engine: SQLEngine) -> String
    ) {
        self.init(entity, before: before, measuring: { owner, _ in keys(owner) }, delete: delete)
    }

    /// Likewise, if the keys are selected differently on each engine.
    init(
        _ entity: String,
        before: BoundStatement? = nil,
        measuring keys: @escaping @Sendable (_ owner: String, _ engine: SQLEngine) -> String,
        delete: @escaping @Sendable (_ keys: String, _ engine: SQLEngine) -> String
    ) {
        self.init([Rows(entity: entity, before: before, keys: keys, delete: delete)])
    }

    /// Rows of several tables that take turns.
    init(inTurns steps: ErasureStep...) {
        self.init(steps.flatMap(\.rows))
    }
}
