// The storage engines alone, without HTTP: what `make bench` compares with pgbench and with plain GRDB.
//
//   storage-bench postgres-update --database postgres://… --callers 64 --seconds 10
//
// Every mode works on one table of counters. A caller is a task that picks a row at random, runs one transaction,
// records its duration, and repeats until the time is up. Prints the results as one line of JSON.

import ArgumentParser
import Foundation
import Logging
import Storage
import StoragePostgres
import StorageSQLite

@main
struct StorageBench: AsyncParsableCommand {
    enum Mode: String, ExpressibleByArgument, CaseIterable {
        /// One durable single-row update per transaction, through the workers.
        case postgresUpdate = "postgres-update"
        /// One single-row read per transaction, through the workers.
        case postgresRead = "postgres-read"
        /// One durable single-row update per transaction, through the group commit.
        case sqliteTransaction = "sqlite-unit"
        /// One transaction for each update through GRDB, which is what a service without group commit does.
        case grdbWrite = "grdb-write"
    }

    static let configuration = CommandConfiguration(
        commandName: "storage-bench",
        abstract: "Measures the storage engines in one process, without HTTP."
    )

    @Argument(help: "\(Mode.allCases.map(\.rawValue).joined(separator: ", "))")
    var mode: Mode

    @Option(help: "A libpq URI, or the path of an SQLite file.")
    var database: String

    @Option(help: "Tasks that each wait for their transaction before they start the next.")
    var callers = 64

    @Option(help: "How long to measure; a tenth of it goes before, unmeasured.")
    var seconds = 10.0

    @Option(help: "Rows in the table of counters, made when it is missing.")
    var rows = 1000

    func run() async throws {
        var logger = Logger(label: "storage-bench")
        logger.logLevel = .warning
        let load = Load(callers: callers, seconds: seconds, rows: rows)
        let measured: Load.Result
        switch mode {
        case .postgresUpdate, .postgresRead:
            let engine = try await PostgresDatabase.connect(url: database, logger: logger)
            try await Counters.prepare(engine, rows: rows)
            let statement = mode == .postgresUpdate ? Counters.increment : Counters.value
            measured = try await load.run { id in _ = try await engine.run(statement.bind(["id": id])) }
            await engine.close()
        case .sqliteTransaction:
            let engine = try await SQLiteDatabase.open(path: database, logger: logger)
            try await Counters.prepare(engine, rows: rows)
            measured = try await load.run { id in _ = try await engine.run(Counters.increment.bind(["id": id])) }
            await engine.close()
        case .grdbWrite:
            let plain = try PlainGRDB(path: database, rows: rows)
            measured = try await load.run { id in try await plain.increment(id) }
        }
        let report = Report(mode: mode.rawValue, callers: callers, measured)
        print(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
    }
}

/// The line of JSON.
private struct Report: Encodable {
    let mode: String
    let callers: Int
    let seconds: Double
    let operations: Int
    let perSecond: Double
    let p50: Int
    let p99: Int
    let residentMemory: Int

    private enum CodingKeys: String, CodingKey {
        case mode, callers, seconds, operations
        case perSecond = "per_second"
        case p50 = "p50_us"
        case p99 = "p99_us"
        case residentMemory = "rss_kib"
    }

    init(mode: String, callers: Int, _ measured: Load.Result) {
        self.mode = mode
        self.callers = callers
        seconds = measured.seconds
        operations = measured.latencies.count
        perSecond = (Double(measured.latencies.count) / measured.seconds * 10).rounded() / 10
        p50 = measured.percentile(0.50)
        p99 = measured.percentile(0.99)
        residentMemory = Self.residentMemory()
    }

    /// `VmRSS` of proc(5), in KiB.
    private static func residentMemory() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
    }
}
