// A connection for reads, each of which has a deadline.
//
// PostgreSQL has `statement_timeout`; SQLite has `sqlite3_interrupt`, which another thread calls. One thread looks at
// all readers of a database. It holds a reader's lock while it interrupts, and a reader takes the lock when a read
// begins and ends, so an interrupt cannot reach the next read. Between two statements it has no effect
// (https://www.sqlite.org/c3ref/interrupt.html), so it is repeated until the read ends.

@preconcurrency internal import Dispatch
import Storage
internal import Synchronization

final class SQLiteReader: Sendable {
    private let connection: SQLiteConnection
    private let limit: Duration
    /// When the present read has to end; `nil` between reads.
    private let deadline = Mutex<ContinuousClock.Instant?>(nil)

    /// `limit` is how long a transaction may read.
    init(_ connection: SQLiteConnection, limit: Duration) {
        self.connection = connection
        self.limit = limit
    }

    /// Runs a transaction that only reads. One that takes too long is `timedOut`.
    func read(_ statements: [BoundStatement]) -> Result<[SQLResult], StorageError> {
        deadline.withLock { $0 = ContinuousClock.now + limit }
        defer { deadline.withLock { $0 = nil } }
        return connection.read(statements)
    }

    func close() { connection.close() }

    private func interrupt(at now: ContinuousClock.Instant) {
        deadline.withLock { deadline in
            if let deadline, now >= deadline { connection.interrupt() }
        }
    }

    /// Interrupts what is late, until all readers have left the group. Blocks the thread.
    static func watch(_ readers: [SQLiteReader], every interval: Duration, until end: DispatchGroup) {
        let pause = DispatchTimeInterval.nanoseconds(Int(interval.wholeMicroseconds) * 1_000)
        while end.wait(timeout: .now() + pause) == .timedOut {
            let now = ContinuousClock.now
            for reader in readers { reader.interrupt(at: now) }
        }
    }
}
