// What a connection is for: the settings of its session, and how long it waits for the server.

import Storage

/// Why a connection was opened, which decides the settings of its session.
enum ConnectionPurpose: String {
    /// How long a write worker waits for a lock of another session.
    static let writeLockTimeout = "100ms"

    /// One plan for all values of a statement. By default PostgreSQL plans a page again at each execution, because a
    /// LIMIT that it does not know beforehand looks expensive: planning took 100 µs of 200. StatementPlanTests proves
    /// that each statement's generic plan is an index scan. The cleanup, whose plans depend on its values, runs in the
    /// slow pool.
    private static let plans = "SET plan_cache_mode = force_generic_plan; \(byIndex)"
    /// Rows are looked up by an index, one by one and in its order, whatever the statistics say (docs/decisions/0036).
    ///
    /// JIT is off: a plan that cannot do without what is switched off looks expensive, and compiling it takes up to a
    /// second. What workers run takes a millisecond.
    private static let byIndex =
        "SET jit = off; "
        + ["seqscan", "sort", "hashjoin", "mergejoin"].map { "SET enable_\($0) = off" }
        .joined(separator: "; ")

    /// Micro-batches of writes: a row lock of another session must not delay the rest of the batch.
    case write
    /// Read-only by the server's own rule, as SQLite's readers are.
    case read
    /// Long transactions, transactions that met a lock, interactive transactions.
    case slow
    /// No limit on waiting: the migration lock is worth the wait.
    case migration
    /// Listens for notifications and sends nothing else.
    case listen
    /// Only reads, and changes nothing in the session, which may belong to another client of a pooler.
    case inspection

    /// What is sent first on the connection.
    ///
    /// - Parameter silence: how long the server may leave an exchange unanswered. Its own limit on a statement is
    ///   shorter, so that a slow statement ends with an answer.
    /// - Returns: statements, none for an inspection.
    func settings(silence: Duration) -> String {
        switch self {
        case .write:
            "SET statement_timeout = \(milliseconds(silence) * 4 / 5); SET lock_timeout = '\(Self.writeLockTimeout)'; "
                + Self.plans
        case .read:
            "SET statement_timeout = \(milliseconds(silence) * 4 / 5); SET default_transaction_read_only = on; "
                + Self.plans
        case .slow:
            "SET statement_timeout = '300s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'; "
                + Self.byIndex
        case .migration: "SET statement_timeout = 0; SET lock_timeout = 0"
        case .listen, .inspection: ""
        }
    }

    /// The longest silence of the server during an exchange.
    func maxWait(silence: Duration) -> Duration? {
        switch self {
        case .write, .read, .listen: silence
        // A little more than the server's own limit above.
        case .slow: .seconds(310)
        case .migration: nil
        case .inspection: .seconds(5)
        }
    }

    private func milliseconds(_ duration: Duration) -> Int64 { duration.wholeMicroseconds / 1_000 }
}
