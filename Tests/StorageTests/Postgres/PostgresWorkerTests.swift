import Logging
import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("PostgreSQL lanes", .needsPostgres)
struct PostgresWorkerTests {
    private static let sleep = Statement("tests.sleep", .reads, "SELECT pg_sleep(1)")
    private static let pids = Statement(
        "tests.pids",
        .reads,
        "SELECT pg_terminate_backend(pid, 30000) AS ended FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    private static let set = Statement(
        "tests.set",
        .writes,
        ["key": .text, "value": .integer],
        "INSERT INTO settings (key, integer_value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET integer_value = :value"
    )
    private static let get = Statement(
        "tests.get",
        .reads,
        ["key": .text],
        "SELECT integer_value FROM settings WHERE key = :key"
    )

    @Test("64 units that sleep 1 s in the database leave the cooperative pool free")
    func poolStaysFree() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            let database = try await PostgresDatabase.connect(
                url: test.url,
                configuration: PostgresConfiguration(readWorkers: 32, limits: WorkLimits(maxWait: .seconds(60))),
                logger: Logger(label: "test.storage")
            )
            // Each four times in a row: eight seconds, of which the checks below need a fraction.
            let sleepers = Task {
                await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<64 {
                        group.addTask {
                            for _ in 0..<4 where (try? await database.run(Self.sleep.bind())) == nil { return false }
                            return true
                        }
                    }
                    return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                }
            }
            try await eventually("the database sleeps") { try await Self.sleeping(test.database) > 8 }
            // Simulates a handler. The median counts, because other tests use the processors; a blocked pool would take
            // a second each.
            var times: [Duration] = []
            for _ in 0..<10 {
                try await eventually("the database sleeps") { try await Self.sleeping(test.database) > 8 }
                for _ in 0..<10 {
                    let start = ContinuousClock.now
                    let answer = await Task { (0..<1_000).reduce(0, +) }.value
                    times.append(start.duration(to: .now))
                    #expect(answer == 499_500)
                }
            }
            #expect(times.sorted()[times.count / 2] < .milliseconds(500))
            #expect(await sleepers.value == 64)
            await database.close()
        }
    }

    @Test("after its connections are cut a database serves again, and says unavailable or unknown meanwhile")
    func cutConnections() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            for round in 1...5 {
                _ = try await test.database.run(Self.set.bind(["key": "round", "value": round]))
                let other = try await test.openAnother()
                _ = try await other.run(Self.pids.bind())
                await other.close()
                try await eventually("served again") {
                    do throws(StorageError) {
                        return try await test.database.run(Self.get.bind(["key": "round"])).first?.int("integer_value")
                            == round
                    } catch {
                        switch error {
                        case .unavailable, .outcomeUnknown: return false
                        default: throw error
                        }
                    }
                }
            }
        }
    }

    @Test("a server that is not there is unavailable at once, with the reason")
    func noServer() async throws {
        let error = await #expect(throws: StorageError.self) {
            _ = try await PostgresDatabase.connect(
                url: "postgres://tessera@127.0.0.1:1/nothing",
                logger: Logger(label: "test.storage", factory: { _ in SwiftLogNoOpLogHandler() })
            )
        }
        guard case .unavailable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(
        "an error about the database's URL does not repeat its password",
        arguments: [
            "postgres://tessera:pass-word-1@[::1/x", "postgre://tessera:pass-word-1@127.0.0.1/x",
            "postgres://tessera:pass-word-1@127.0.0.1:1/x", "postgres://tessera:pass-word-1@127.0.0.1:port/x",
        ]
    )
    func secretURL(url: String) async {
        let error = await #expect(throws: StorageError.self) {
            _ = try await PostgresDatabase.connect(
                url: url,
                logger: Logger(label: "test.storage", factory: { _ in SwiftLogNoOpLogHandler() })
            )
        }
        #expect(!"\(String(describing: error))".contains("pass-word-1"))
    }

    @Test("a row that another session holds delays only the units that need it")
    func heldRow() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            for key in ["held", "free"] { _ = try await test.database.run(Self.set.bind(["key": key, "value": 0])) }
            let other = try await test.openAnother()
            let gate = Gate()
            async let holder: Void = other.holdingTransaction { transaction in
                try transaction.run(Self.set.bind(["key": "held", "value": 1]))
                gate.enterAndWait()
            }
            try await eventually("the row is held") { gate.isEntered }
            async let waiting = test.database.run(Self.set.bind(["key": "held", "value": 2]))
            for number in 1...20 { _ = try await test.database.run(Self.set.bind(["key": "free", "value": number])) }
            gate.open()
            try await holder
            _ = try await waiting
            #expect(try await test.database.run(Self.get.bind(["key": "held"])).first?.int("integer_value") == 2)
            #expect(try await test.database.run(Self.get.bind(["key": "free"])).first?.int("integer_value") == 20)
            await other.close()
        }
    }

    @Test("a statement prepared before its table changed is prepared again")
    func stalePlan() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            let wide = Statement("tests.wide", .reads, "SELECT * FROM settings")
            _ = try await test.database.run(wide.bind())
            // Every worker now has the statement with its old columns.
            for _ in 0..<32 { _ = try await test.database.run(wide.bind()) }
            try await test.database.withMigrationLock {
                try $0.execute(script: "ALTER TABLE settings ADD COLUMN more bigint")
            }
            for _ in 0..<32 {
                let row = try #require(try await test.database.run(wide.bind()).first)
                #expect(row.columns.names.contains("more"))
            }
        }
    }

    @Test("a transaction whose statement was prepared before its table changed is begun again, and once")
    func stalePlanInTransaction() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            let database = try await PostgresDatabase.connect(
                url: test.url,
                configuration: PostgresConfiguration(slowConnections: 1),
                logger: Logger(label: "test.storage")
            )
            let wide = Statement("tests.wide", .reads, "SELECT * FROM settings")
            _ = try await database.holdingTransaction { try $0.run(wide.bind()) }
            try await test.database.withMigrationLock {
                try $0.execute(script: "ALTER TABLE settings ADD COLUMN more bigint")
            }
            let row = try await database.holdingTransaction { transaction in
                try transaction.run(Self.set.bind(["key": "once", "value": 1]))
                return try transaction.run(wide.bind()).first
            }
            #expect(try #require(row).columns.names.contains("more"))
            #expect(try await database.run(Self.get.bind(["key": "once"])).first?.int("integer_value") == 1)
            // A feature that the server really lacks has the same code, and is reported.
            let unsupported = Statement(
                "tests.unsupported",
                .writes,
                "SELECT 1 FROM (SELECT COUNT(*) FROM settings) AS n FOR UPDATE"
            )
            await #expect(throws: StorageError.self) {
                try await database.holdingTransaction { try $0.run(unsupported.bind()) }
            }
            await database.close()
        }
    }

    @Test("a database of another encoding than UTF-8 is refused with the reason")
    func encoding() async throws {
        try await withPrivateCluster { cluster async throws in
            try await cluster.execute(
                "CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
            )
            let error = await #expect(throws: StorageError.self) {
                _ = try await PostgresDatabase.connect(url: cluster.url("bytes"), logger: .silent)
            }
            #expect(String(describing: error).contains("SQL_ASCII"))
        }
    }

    @Test("text that is not UTF-8 makes a result unreadable, and the lane goes on")
    func malformedText() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            let malformed = Statement("tests.malformed", .reads, #"SELECT CAST(-56 AS "char") AS byte"#)
            await #expect(throws: StorageError.invalidRow(column: "byte")) {
                _ = try await test.database.run(malformed.bind())
            }
            #expect(try await test.database.run(Self.get.bind(["key": "nothing"])).isEmpty)
        }
    }

    @Test("statements that the session has forgotten are prepared again, of a unit and of a transaction")
    func forgottenStatements() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            let database = try await PostgresDatabase.connect(
                url: test.url,
                configuration: PostgresConfiguration(slowConnections: 1),
                logger: .silent
            )
            // The sessions of the one write worker and of the connection for transactions (SQLSTATE 26000).
            let forget = Statement("tests.forget", .writes, "DEALLOCATE ALL")
            for value in 1...3 {
                _ = try await database.run(Self.set.bind(["key": "unit", "value": value]))
                _ = try await database.run(forget.bind())
            }
            for value in 1...3 {
                try await database.holdingTransaction { transaction in
                    _ = try transaction.run(Self.set.bind(["key": "transaction", "value": value]))
                    _ = try transaction.run(forget.bind())
                }
            }
            for key in ["unit", "transaction"] {
                #expect(try await database.run(Self.get.bind(["key": key])).first?.int("integer_value") == 3)
            }
            await database.close()
        }
    }

    @Test(
        "an instant means the same to the server",
        arguments: ["1883-11-18T12:03:58.123456Z", "1970-01-01T00:00:00.000001Z", "2026-11-21T04:30:00.000000Z"]
    )
    func serverTime(text: String) async throws {
        let spell = Statement(
            "tests.spell",
            .reads,
            ["instant": .instant],
            #"SELECT to_char(:instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS spelled"#
        )
        let instant = try #require(Instant(rfc3339: text))
        try await withDatabase(.postgres, service: "auth") { database async throws in
            #expect(try await database.run(spell.bind(["instant": instant])).first?.text("spelled") == text)
        }
    }

    @Test("units of many callers share commits")
    func sharing() async throws {
        try await withTestDatabase(.postgres, service: "auth") { test async throws in
            let commits = Statement(
                "tests.commits",
                .reads,
                "SELECT COUNT(DISTINCT CAST(xmin AS TEXT)) AS n FROM settings WHERE key LIKE 'share%'"
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<64 {
                    group.addTask {
                        for transaction in 0..<20 {
                            _ = try await test.database.run(
                                Self.set.bind(["key": "share-\(caller)-\(transaction)", "value": transaction])
                            )
                        }
                    }
                }
                try await group.waitForAll()
            }
            let transactions = try #require(try await test.database.run(commits.bind()).first).int("n")
            #expect(transactions < 640, "1280 units in \(transactions) transactions")
        }
    }

    private static func sleeping(_ database: any SQLDatabase) async throws -> Int {
        let count = Statement(
            "tests.sleeping",
            .reads,
            "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        return try await database.run(count.bind()).first?.int("n") ?? 0
    }
}
