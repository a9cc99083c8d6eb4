import Logging
import Storage
import StoragePostgres
import StorageSQLite
import Synchronization
import TestSupport
import Testing

@Suite("the log of slow statements")
struct SlowStatementTests {
    private static let secret = "hunter2-in-a-parameter"
    private static let read = Statement(
        "slow.read",
        .reads,
        ["secret": .text],
        "SELECT 1 AS one WHERE :secret IS NOT NULL"
    )

    @Test("names, rows and time of what reaches the threshold, and no parameter", arguments: TestEngine.allCases)
    func told(engine: TestEngine) async throws {
        let lines = try await Self.lines(engine, threshold: .zero)
        let line = try #require(lines.first { $0.contains("slow.read") })
        #expect(line.contains("slow.read rows=1"))
        #expect(line.contains("ms=0") || line.wholeMatch(of: /.*ms=[0-9]+.*/) != nil)
        #expect(!lines.contains { $0.contains(Self.secret) })
    }

    @Test("what is faster is not told", arguments: TestEngine.allCases)
    func quiet(engine: TestEngine) async throws {
        #expect(try await Self.lines(engine, threshold: .seconds(3600)).isEmpty)
    }

    private static func lines(_ engine: TestEngine, threshold: Duration) async throws -> [String] {
        let log = Lines()
        let logger = Logger(label: "test") { _ in log }
        try await withEmptyDatabase(engine) { test in
            let database: any SQLDatabase
            switch engine {
            case .sqlite:
                database = try await SQLiteDatabase.open(
                    path: String(test.url.dropFirst("sqlite:".count)),
                    configuration: .init(slow: threshold),
                    logger: logger
                )
            case .postgres:
                database = try await PostgresDatabase.connect(
                    url: test.url,
                    configuration: .init(slow: threshold),
                    logger: logger
                )
            }
            _ = try await database.run(read.bind(["secret": secret]))
            await database.close()
        }
        return log.all
    }
}

private final class Lines: LogHandler, Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock(\.self) }

    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).map { "\($0)=\($1)" }.sorted()
        lines.withLock { $0.append((["\(event.message)"] + fields).joined(separator: " ")) }
    }
}
