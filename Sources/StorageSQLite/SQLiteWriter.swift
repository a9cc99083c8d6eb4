// Group commit.
//
// One transaction, a savepoint for each waiting unit, one commit; callers resume only after it. A unit that fails
// is rolled back to its savepoint and its neighbours never notice. Some errors (a full disk, an interrupt) make
// SQLite roll back the *whole* transaction by itself, savepoints already released included: after every error
// the writer therefore asks whether the transaction still stands, and if not runs the units again one by one.

internal import Logging
import Storage

/// The thread that owns the writing connection.
struct SQLiteWriter {
    let connection: SQLiteConnection
    let queue: WorkQueue<SQLiteWork>
    let batch: Int
    let logger: Logger

    /// Serves the queue until it is closed and empty.
    func run() {
        while let work = queue.take(count: batch, weight: 1 << 20) {
            var units: [PendingUnit] = []
            for item in work {
                switch item {
                case .unit(let unit): units.append(unit)
                case .transaction(let run, _): run(connection)
                }
            }
            if !units.isEmpty { commit(units) }
        }
        connection.optimize()
    }

    private func commit(_ units: [PendingUnit]) {
        switch connection.commit(units.map(\.statements)) {
        case .committed(let results):
            for (unit, result) in zip(units, results) { unit.finish(result) }
        case .rolledBack(let error) where units.count == 1:
            units[0].finish(.failure(error))
        case .rolledBack(let error):
            logger.debug(
                "batch rolled back, its units run singly",
                metadata: ["units": "\(units.count)", "error": "\(error)"]
            )
            for unit in units { commit([unit]) }
        case .unknown(let error):
            logger.warning("outcome unknown", metadata: ["units": "\(units.count)", "error": "\(error)"])
            for unit in units { unit.finish(.failure(error)) }
        case .notBegun(let error):
            for unit in units { unit.finish(.failure(error)) }
        }
    }
}

/// What became of a group commit.
enum SQLiteCommit {
    /// Durable; a unit that failed was left out and has its error here.
    case committed([Result<[SQLResult], StorageError>])
    /// Nothing of the batch took effect.
    case rolledBack(StorageError)
    /// The transaction could not start, so running the units again at once would not help.
    case notBegun(StorageError)
    /// The disk failed during the commit, after which nobody knows whether the commit record is in the file.
    case unknown(StorageError)
}
