// A PostgreSQL database with three kinds of connection.
//
// One *write worker* sends micro-batches that share a round trip and a commit. Several *read workers* read. A *slow
// pool* takes what is long, met a lock, or is an interactive transaction. Every worker is a thread with its own
// connection; callers' tasks only wait. While an ordered log has followers, one more connection listens.

internal import Foundation
package import Logging
package import Storage

/// How many connections, and what may wait for them.
package struct PostgresConfiguration: Sendable {
    package var readWorkers: Int
    package var slowConnections: Int
    /// The most transactions in one batch.
    package var batchSize: Int
    /// The most bytes in one batch; a larger transaction is a batch of its own.
    package var maxBatchWeight: Int
    /// The queue in front of each kind of connection.
    package var limits: WorkLimits
    /// From how long a batch is logged, by the names of its statements.
    package var slow: Duration
    /// How long the server may leave a batch or a read unanswered; then the connection is given up and the callers get
    /// an error. The slow pool has its own limits.
    package var silence: Duration

    package init(
        readWorkers: Int = 2,
        slowConnections: Int = 3,
        batchSize: Int = 64,
        maxBatchWeight: Int = 256 << 10,
        limits: WorkLimits = .init(),
        slow: Duration = .milliseconds(100),
        silence: Duration = usualSilence
    ) {
        self.slow = slow
        self.readWorkers = readWorkers
        self.slowConnections = slowConnections
        self.batchSize = batchSize
        self.maxBatchWeight = maxBatchWeight
        self.limits = limits
        self.silence = silence
    }

    /// As long as a transaction may wait in the queue.
    package static let usualSilence = Duration.seconds(10)
}

/// A database on a PostgreSQL server, version 14 or later. Connections open when first needed.
package final class PostgresDatabase: InteractiveDatabase {
    private let url: String
    private let schema: String?
    private let writes: WorkQueue
    private let reads: WorkQueue
    private let slowPool: WorkQueue
    private let threads: ThreadGroup
    /// The threads of the slow pool end after the others, which may still hand work to them.
    private let handingOver: ThreadGroup
    private let logChanges: LogChanges

    package var engine: SQLEngine { .postgres }

    /// Connects once to check that the server answers, and starts the threads.
    ///
    /// - Parameters:
    ///   - url: a libpq URI or keyword string.
    ///   - schema: where the tables are; `nil` for the server's own search path.
    ///   - configuration: how many connections, and what may wait for them.
    ///   - logger: for lost and regained connections and unknown outcomes.
    /// - Returns: the open database; its owner calls `close`.
    /// - Throws: `StorageError.unavailable` when the server cannot be reached or refuses, or when it is behind a pooler
    ///   that does not assign whole sessions.
    package static func connect(
        url: String,
        schema: String? = nil,
        configuration: PostgresConfiguration = .init(),
        logger: Logger
    ) async throws -> PostgresDatabase {
        try await OwnThread.run("postgres-pooler") { try PoolerCheck.run(url: url) }
        let database = PostgresDatabase(url: url, schema: schema, configuration: configuration, logger: logger)
        do {
            _ = try await database.run(Statement("storage.ping", .writes, "SELECT 1").bind())
        } catch {
            await database.close()
            throw error
        }
        return database
    }

    private init(url: String, schema: String?, configuration: PostgresConfiguration, logger: Logger) {
        self.url = url
        self.schema = schema
        let readWorkers = max(1, configuration.readWorkers)
        let slowWorkers = max(1, configuration.slowConnections)
        let writes = WorkQueue(limits: configuration.limits)
        let reads = WorkQueue(limits: configuration.limits)
        let slowPool = WorkQueue(limits: configuration.limits)
        let handingOver = ThreadGroup(count: 1)
        let pace = ReconnectPace()
        let threads = ThreadGroup(count: readWorkers + slowWorkers)
        self.writes = writes
        self.reads = reads
        self.slowPool = slowPool
        self.threads = threads
        self.handingOver = handingOver
        logChanges = LogChanges { log, changed in
            LogListener(url: url, log: log, silence: configuration.silence, logger: logger, changed: changed)
        }

        func start(_ purpose: ConnectionPurpose, _ queue: WorkQueue, workers: Int, _ group: ThreadGroup) {
            for _ in 0..<workers {
                OwnThread.start("postgres-\(purpose)") {
                    ConnectionWorker(
                        url: url,
                        schema: schema,
                        purpose: purpose,
                        queue: queue,
                        slowPool: slowPool,
                        workerCount: workers,
                        configuration: configuration,
                        pace: pace,
                        logger: logger
                    ).serve()
                    group.leave()
                }
            }
        }
        start(.write, writes, workers: 1, handingOver)
        start(.read, reads, workers: readWorkers, threads)
        start(.slow, slowPool, workers: slowWorkers, threads)
    }

    deinit {
        logChanges.stop()
        writes.close()
        reads.close()
        slowPool.close()
    }

    package func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        let statements = transaction.statements
        for bound in statements { try bound.validateForPostgres() }
        if statements.isEmpty { return TransactionResults([]) }
        let queue = priority == .long ? slowPool : statements.onlyReads ? reads : writes
        return TransactionResults(try await queue.submit(statements).get())
    }

    package func holdingTransaction<T: Sendable>(
        _ body: @Sendable @escaping (any SQLTransaction) throws -> T
    ) async throws -> T {
        try await slowPool.submit(refusal: { $0 as any Error }) { (reply: Reply<T, any Error>) in
            PostgresWork(
                run: { connection in reply.resume(returning: Result { try connection.transaction(body) }) },
                refuse: { reply.resume(returning: .failure($0)) }
            )
        }.get()
    }

    package func withMigrationLock<T: Sendable>(
        _ body: @Sendable @escaping (any SQLMigrationConnection) throws -> T
    ) async throws -> T {
        try await OwnThread.run("postgres-migrator") { [url, schema] in
            let connection = try Connection(url: url, schema: schema, purpose: .migration)
            // Held by the session, so it also covers sections that may not run in a transaction. The server releases it
            // when this process dies. A second process waits here.
            while try connection.simpleQuery("SELECT pg_try_advisory_lock(\(Self.migrationLock))") != "t" {
                Thread.sleep(forTimeInterval: 0.05)
            }
            return try body(PostgresMigrationConnection(connection: connection))
        }
    }

    /// The key of the migration lock: "tessera" in ASCII.
    static let migrationLock: Int64 = 0x74_65_73_73_65_72_61

    /// Autovacuum does it.
    package func reclaimDeletedBytes() async -> Bool { true }

    package func changes(of log: OrderedLog) -> AsyncStream<Void> {
        logChanges.stream(of: log)
    }

    package func close() async {
        await logChanges.close()
        writes.close()
        reads.close()
        await handingOver.wait()
        slowPool.close()
        await threads.wait()
    }
}

extension BoundStatement {
    /// As `validate`, and every value has an encoding.
    func validateForPostgres() throws(StorageError) {
        try validate()
        for case .instant(let instant) in values where !BinaryFormat.canEncode(instant) {
            throw .invalidBinding(statement: statement.name, reason: "an instant is out of range")
        }
    }
}

typealias PostgresWork = InteractiveWork<Connection>
