// A SQLite database: one writer that groups commits, and readers beside it.
//
// A commit costs a sync of the disk whatever it holds. So the writer takes every transaction that waits, gives each a
// savepoint, and commits once. Readers see the last commit (WAL) and never delay the writer. Each connection belongs to
// a thread of its own; the callers' tasks only wait.
//
// Transactions that are known to be long do not delay the others: long reads have connections of their own, and of long
// writes only one at a time is in the writer's queue. A read that takes too long is interrupted.

@preconcurrency internal import Dispatch
package import Logging
package import Storage

/// How a SQLite database is opened.
package struct SQLiteConfiguration: Sendable {
    /// Connections for transactions that only read.
    package var readers: Int
    /// Connections for those that are known to be long.
    package var longReaders: Int
    /// How long a transaction may read. PostgreSQL's own limit is the same.
    package var readLimit: Duration
    /// How long one may read that is known to be long.
    package var longReadLimit: Duration
    /// How long a connection waits for a lock that another *process* holds before the transaction is a `.conflict`.
    package var busyTimeout: Duration
    /// The most transactions in one commit.
    package var batchSize: Int
    /// The queue in front of the writer, and the one in front of the readers.
    package var limits: WorkLimits
    /// From which size in bytes the writer empties the write-ahead log into the file.
    package var walLimit: Int
    /// From how long a batch is logged, by the names of its statements.
    package var slow: Duration

    package init(
        readers: Int = 4,
        longReaders: Int = 2,
        readLimit: Duration = .seconds(8),
        longReadLimit: Duration = .seconds(60),
        busyTimeout: Duration = .seconds(5),
        batchSize: Int = 64,
        limits: WorkLimits = .init(),
        walLimit: Int = 64 << 20,
        slow: Duration = .milliseconds(100)
    ) {
        self.walLimit = walLimit
        self.slow = slow
        self.readers = readers
        self.longReaders = longReaders
        self.readLimit = readLimit
        self.longReadLimit = longReadLimit
        self.busyTimeout = busyTimeout
        self.batchSize = batchSize
        self.limits = limits
    }
}

/// A database in one file, which other processes on this machine may use at the same time.
package final class SQLiteDatabase: InteractiveDatabase {
    private let path: String
    private let configuration: SQLiteConfiguration
    private let writes: WorkQueue
    private let reads: WorkQueue
    private let longReads: WorkQueue
    /// Passed by long writes before they join the queue of writes.
    private let longWrites: Turnstile
    private let threads: ThreadGroup
    private let logChanges: LogChanges

    package var engine: SQLEngine { .sqlite }

    /// Opens or creates the file, and starts the threads.
    ///
    /// - Parameters:
    ///   - path: a path in the file system; databases in memory are not supported.
    ///   - configuration: how many readers, and how long they and the writer wait.
    ///   - logger: for batches that had to be run again.
    /// - Returns: the open database; its owner calls `close`.
    /// - Throws: `StorageError.unavailable` when the file cannot be opened.
    package static func open(
        path: String,
        configuration: SQLiteConfiguration = .init(),
        logger: Logger
    ) async throws -> SQLiteDatabase {
        let (writer, readers, longReaders) = try await OwnThread.run("sqlite-open") {
            // The writer first: it creates the file and its WAL, which a read-only connection cannot.
            let writer = try SQLiteConnection(path: path, role: .writer, configuration: configuration)
            func connect(_ count: Int, limit: Duration) throws -> [SQLiteReader] {
                try (0..<max(1, count)).map { _ in
                    let connection = try SQLiteConnection(path: path, role: .reader, configuration: configuration)
                    return SQLiteReader(connection, limit: limit)
                }
            }
            let some = try connect(configuration.readers, limit: configuration.readLimit)
            let long = try connect(configuration.longReaders, limit: configuration.longReadLimit)
            return (writer, some, long)
        }
        return SQLiteDatabase(
            path: path,
            configuration: configuration,
            writer: writer,
            readers: readers,
            longReaders: longReaders,
            logger: logger
        )
    }

    private init(
        path: String,
        configuration: SQLiteConfiguration,
        writer: SQLiteConnection,
        readers: [SQLiteReader],
        longReaders: [SQLiteReader],
        logger: Logger
    ) {
        self.path = path
        self.configuration = configuration
        let writes = WorkQueue(limits: configuration.limits)
        let reads = WorkQueue(limits: configuration.limits)
        let longReads = WorkQueue(limits: configuration.limits)
        // The writer and the thread of deadlines besides.
        let threads = ThreadGroup(count: 2 + readers.count + longReaders.count)
        self.writes = writes
        self.reads = reads
        self.longReads = longReads
        longWrites = Turnstile(limits: configuration.limits)
        self.threads = threads
        let logChanges = LogChanges { _, changed in
            SQLiteLogWatcher(path: path, configuration: configuration, changed: changed)
        }
        self.logChanges = logChanges
        let slow = SlowStatements(threshold: configuration.slow, logger: logger)
        let openReaders = DispatchGroup()
        for (reader, queue) in readers.map({ ($0, reads) }) + longReaders.map({ ($0, longReads) }) {
            openReaders.enter()
            OwnThread.start("sqlite-reader") {
                while let work = queue.take() {
                    for case let transaction as PendingTransaction in work {
                        transaction.finish(
                            slow.watching([transaction.statements], results: { [$0] }) {
                                reader.read(transaction.statements)
                            }
                        )
                    }
                }
                reader.close()
                openReaders.leave()
                threads.leave()
            }
        }
        OwnThread.start("sqlite-deadlines") {
            SQLiteReader.watch(
                readers + longReaders,
                every: min(Duration.milliseconds(500), configuration.readLimit / 4),
                until: openReaders
            )
            threads.leave()
        }
        OwnThread.start("sqlite-writer") {
            var batchWriter = SQLiteWriter(
                connection: writer,
                queue: writes,
                configuration: configuration,
                slow: slow,
                logger: logger,
                appended: { logChanges.changed($0) }
            )
            batchWriter.run()
            // Last: the last connection to close moves the WAL into the file, and a reader may not write.
            openReaders.wait()
            writer.close()
            threads.leave()
        }
    }

    deinit {
        logChanges.stop()
        writes.close()
        reads.close()
        longReads.close()
    }

    package func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        let statements = transaction.statements
        for bound in statements { try bound.validate() }
        if statements.isEmpty { return TransactionResults([]) }
        switch (statements.onlyReads, priority) {
        case (true, .normal): return try await submit(statements, to: reads)
        case (true, .long): return try await submit(statements, to: longReads)
        case (false, .normal): return try await submit(statements, to: writes)
        case (false, .long):
            try await longWrites.enter()
            defer { longWrites.leave() }
            return try await submit(statements, to: writes)
        }
    }

    private func submit(
        _ statements: [BoundStatement],
        to queue: WorkQueue
    ) async throws(StorageError) -> TransactionResults {
        TransactionResults(try await queue.submit(statements).get())
    }

    package func holdingTransaction<T: Sendable>(
        _ body: @Sendable @escaping (any SQLTransaction) throws -> T
    ) async throws -> T {
        try await writes.submit(refusal: { $0 as any Error }) { (reply: Reply<T, any Error>) in
            SQLiteWork(
                run: { connection in reply.resume(returning: Result { try connection.transaction(body) }) },
                refuse: { reply.resume(returning: .failure($0)) }
            )
        }.get()
    }

    package func withMigrationLock<T: Sendable>(
        _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
    ) async throws -> T {
        // The lock is the `BEGIN IMMEDIATE` of each migration, which checks again whether it is still pending.
        try await OwnThread.run("sqlite-migrator") { [path, configuration] in
            let connection = try SQLiteConnection(path: path, role: .migrator, configuration: configuration)
            defer { connection.close() }
            return try connection.migrate(body)
        }
    }

    package func reclaimDeletedBytes() async -> Bool {
        // The log may hold pages as they were before; the file's own are overwritten (`secure_delete`). The wait is
        // short because writers wait for it; the caller tries again after `false`.
        let isEmpty = await writes.submit(refusal: { $0 }) { (reply: Reply<Bool, StorageError>) in
            SQLiteWork(
                run: { connection in
                    reply.resume(returning: .success(connection.emptyLog(maxWait: .milliseconds(250))))
                },
                refuse: { reply.resume(returning: .failure($0)) }
            )
        }
        return (try? isEmpty.get()) ?? false
    }

    package func changes(of log: OrderedLog) -> AsyncStream<Void> {
        logChanges.stream(of: log)
    }

    package func close() async {
        // Before the writer, which closes last.
        await logChanges.close()
        writes.close()
        reads.close()
        longReads.close()
        await threads.wait()
    }
}

typealias SQLiteWork = InteractiveWork<SQLiteConnection>
