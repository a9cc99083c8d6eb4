// Occupies the one writer of a database, so that arriving transactions wait in the queue and form a batch.
import Storage
import Synchronization
import TestSupport

/// SQLite's writing thread inside a transaction, or PostgreSQL's write worker inside a statement that polls its gate.
final class HeldWriter: Sendable {
    private let database: any SQLDatabase
    private let occupant: Task<Void, any Error>
    private let gate: Gate?

    /// For PostgreSQL; may run twice.
    private static let tables = """
        CREATE TABLE IF NOT EXISTS open_gates (name text PRIMARY KEY);
        CREATE OR REPLACE FUNCTION wait_for_gate(wanted text) RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN
            WHILE NOT EXISTS (SELECT FROM open_gates WHERE name = wanted) LOOP PERFORM pg_sleep(0.002); END LOOP;
            RETURN 1;
        END $$;
        """
    /// Holds a PostgreSQL transaction in its middle until `openGate`.
    static let wait = Statement(
        "tests.wait_for_gate",
        .writes,
        ["name": .text],
        "SELECT wait_for_gate(:name) AS passed"
    )
    private static let open = Statement(
        "tests.open_gate",
        .writes,
        ["name": .text],
        "INSERT INTO open_gates (name) VALUES (:name) ON CONFLICT DO NOTHING"
    )
    private static let waiting = Statement(
        "tests.waiting",
        .reads,
        """
        SELECT COUNT(*) AS n FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep' AND query LIKE '%wait_for_gate%'
        """
    )

    private init(_ database: any SQLDatabase, _ occupant: Task<Void, any Error>, _ gate: Gate?) {
        self.database = database
        self.occupant = occupant
        self.gate = gate
    }

    static func hold(_ database: any SQLDatabase) async throws -> HeldWriter {
        guard database.engine == .postgres else {
            let gate = Gate()
            let occupant = Task { try await database.holdingTransaction { _ in gate.enterAndWait() } }
            try await eventually("the writer is held") { gate.isEntered }
            return HeldWriter(database, occupant, gate)
        }
        try await makeGates(database)
        let occupant = Task { _ = try await database.run(wait.bind(["name": "writer"])) }
        try await atGate(database)
        return HeldWriter(database, occupant, nil)
    }

    func release() async throws {
        if let gate { gate.open() } else { try await Self.openGate("writer", database) }
        try await occupant.value
    }

    static func makeGates(_ database: any SQLDatabase) async throws {
        try await database.withMigrationLock { try $0.execute(script: tables) }
    }

    static func atGate(_ database: any SQLDatabase) async throws {
        try await eventually("a unit stands at its gate") {
            try await database.run(waiting.bind()).first?.int("n") == 1
        }
    }

    /// Opens a gate beside the worker that waits at it.
    static func openGate(_ name: String, _ database: any SQLDatabase) async throws {
        _ = try await database.run(open.bind(["name": name]), priority: .long)
    }

    /// Submits transactions while the writer is held, so that they form a batch.
    ///
    /// - Returns: each caller's result, in order.
    static func submit(
        _ transactions: [[BoundStatement]],
        to database: any SQLDatabase
    ) async throws -> [Result<[SQLResult], StorageError>] {
        let writer = try await hold(database)
        let submitted = Counter()
        return try await withThrowingTaskGroup(of: (Int, Result<[SQLResult], StorageError>).self) { group in
            for (index, transaction) in transactions.enumerated() {
                group.addTask {
                    submitted.number.add(1, ordering: .relaxed)
                    do throws(StorageError) {
                        return (index, .success(try await database.run(Transaction(transaction)).all))
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            try await eventually("every caller is in line") {
                submitted.number.load(ordering: .relaxed) == transactions.count
            }
            try await writer.release()
            return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private final class Counter: Sendable {
        let number = Atomic(0)
    }
}

extension Result where Success == [SQLResult], Failure == StorageError {
    var error: StorageError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
