// Many callers, two processes, and cancelled callers.

internal import Dispatch
import Storage
internal import Synchronization
import Testing

extension StorageConformance {
    static let concurrencyCases: [ConformanceCase] = [
        ConformanceCase("64 writers of one row lose no update") { subject async throws in
            let database = subject.database
            _ = try await database.run(Fixtures.insertParent("p", name: "p", count: 0))
            let seen = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<64 {
                    group.addTask {
                        var seen: [Int] = []
                        for _ in 0..<10 {
                            seen.append(try await database.run(Fixtures.add(1, to: "p")).first?.int("count") ?? -1)
                        }
                        return seen
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            // Each saw a value of its own, so none overwrote another.
            #expect(seen.sorted() == Array(1...640))
        },
        ConformanceCase("two processes writing the same rows in opposite orders lose no update") {
            subject async throws in
            try await subject.withAnother { other in
                _ = try await subject.database.run(
                    Transaction([
                        Fixtures.insertParent("a", name: "a", count: 0),
                        Fixtures.insertParent("b", name: "b", count: 0),
                    ])
                )
                let nodes = [(subject.database, ["a", "b"]), (other, ["b", "a"])]
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (database, ids) in nodes {
                        for _ in 0..<8 {
                            group.addTask {
                                for _ in 0..<10 {
                                    try await retryingConflicts { () throws(StorageError) in
                                        try await database.run(Transaction(ids.map { Fixtures.add(1, to: $0) }))
                                    }
                                }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let counts = try await other.run(Fixtures.parents()).rows.map { try $0.int("count") }
                #expect(counts == [160, 160])
            }
        },
        ConformanceCase("what is not committed is invisible, and what is committed is visible to all") {
            subject async throws in
            try await subject.withAnother { other in
                let hold = Hold()
                async let finished: Void = subject.database.holdingTransaction { transaction in
                    try transaction.run(Fixtures.insertParent("p", name: "p", count: 0))
                    hold.enterAndWait()
                }
                try await hold.entered()
                #expect(try await subject.database.run(Fixtures.parents()).isEmpty)
                #expect(try await other.run(Fixtures.parents()).isEmpty)
                hold.release()
                try await finished
                #expect(try await subject.database.run(Fixtures.parents()).affected == 1)
                #expect(try await other.run(Fixtures.parents()).affected == 1)
            }
        },
        ConformanceCase("a reader of an ordered log never sees a number before a smaller one") { subject async throws in
            try await subject.withAnother { other in
                let hold = Hold()
                async let first: Void = subject.database.holdingTransaction { transaction in
                    try transaction.run(Fixtures.append("first"))
                    hold.enterAndWait()
                }
                try await hold.entered()
                async let second = other.run(Fixtures.append("second"))
                // Without the log's lock the second writer would commit now and the reader would see it first.
                let deadline = ContinuousClock.now + .milliseconds(400)
                while ContinuousClock.now < deadline {
                    let rows = try await subject.database.run(Fixtures.entries(after: 0)).rows
                    if !rows.isEmpty {
                        Issue.record("visible before the first writer committed: \(rows.map(\.values))")
                        break
                    }
                }
                hold.release()
                try await first
                _ = try await second
                let writers = try await other.run(Fixtures.entries(after: 0)).rows.map { try $0.text("writer") }
                #expect(writers == ["first", "second"])
            }
        },
        ConformanceCase("a follower of an ordered log misses nothing while two processes append") {
            subject async throws in
            try await subject.withAnother { other in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in 0..<8 {
                        let database = writer % 2 == 0 ? subject.database : other
                        group.addTask {
                            for _ in 0..<10 {
                                try await retryingConflicts { () throws(StorageError) in
                                    try await database.run(Fixtures.append("w\(writer)"))
                                }
                            }
                        }
                    }
                    group.addTask {
                        var (last, count): (Int64, Int) = (0, 0)
                        let deadline = ContinuousClock.now + .seconds(30)
                        while count < 80, ContinuousClock.now < deadline {
                            for row in try await subject.database.run(Fixtures.entries(after: last)).rows {
                                last = try row.integer("seq")
                                count += 1
                            }
                        }
                        #expect(count == 80)
                    }
                    try await group.waitForAll()
                }
            }
        },
        ConformanceCase("a unit cancelled while it waits is never run") { subject async throws in
            let hold = Hold()
            let database = subject.database
            let occupant = Task { try await occupyWriter(of: database, hold) }
            try await waitUntilOccupied(database, hold)
            let waiting = Task { try await database.run(Fixtures.insertParent("p", name: "p", count: 0)) }
            waiting.cancel()
            #expect(await storageError { _ = try await waiting.value } == .cancelled)
            hold.release()
            try await occupant.value
            // Served in order, so everything that was still in the queue has run by now.
            _ = try await database.run(Fixtures.insertParent("q", name: "q", count: 0))
            #expect(try await database.run(Fixtures.parents()).rows.map { try $0.text("id") } == ["q"])
        },
        ConformanceCase("a caller that is already cancelled sends nothing") { subject async throws in
            let database = subject.database
            let cancelled = Task {
                withUnsafeCurrentTask { unsafe $0?.cancel() }
                _ = try await database.run(Fixtures.insertParent("p", name: "p", count: 0))
            }
            #expect(await storageError { try await cancelled.value } == .cancelled)
            try await expectRows(0, in: "parents", of: database)
        },
    ]

    /// Tries again what is known not to be committed, as a caller may.
    private static func retryingConflicts<T>(_ body: () async throws(StorageError) -> T)
        async throws(StorageError)
    {
        for attempt in 1... {
            do throws(StorageError) {
                _ = try await body()
                return
            } catch {
                guard case .conflict = error, attempt < 20 else { throw error }
            }
        }
    }

    // MARK: - Keeping the writer busy

    private static let sleep = Statement("concurrency.sleep", .writes, "SELECT pg_sleep(5)")

    /// Keeps the one writer (SQLite) or the write worker (PostgreSQL) from taking anything else.
    private static func occupyWriter(of database: any InteractiveDatabase, _ hold: Hold) async throws {
        switch database.engine {
        case .sqlite: try await database.holdingTransaction { _ in hold.enterAndWait() }
        case .postgres: _ = try await database.run(sleep.bind())
        }
    }

    private static func waitUntilOccupied(_ database: any SQLDatabase, _ hold: Hold) async throws {
        guard database.engine == .postgres else { return try await hold.entered() }
        let active = Statement(
            "concurrency.active",
            .reads,
            "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        let deadline = ContinuousClock.now + .seconds(60)
        while try await database.run(active.bind()).first?.int("n") == 0 {
            try #require(ContinuousClock.now < deadline, "the write worker did not start to sleep")
        }
    }
}

/// Holds a thread of an engine inside a transaction until the test releases it.
private final class Hold: Sendable {
    private let isEntered = Atomic(false)
    private let gate = DispatchSemaphore(value: 0)

    /// Called on the engine's thread. Gives up after 30 s, so that a failing test ends.
    func enterAndWait() {
        isEntered.store(true, ordering: .releasing)
        _ = gate.wait(timeout: .now() + 30)
    }

    /// Returns when the thread is inside; fails after 20 s.
    func entered() async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !isEntered.load(ordering: .acquiring) {
            try #require(ContinuousClock.now < deadline, "no thread came")
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    func release() { gate.signal() }
}
