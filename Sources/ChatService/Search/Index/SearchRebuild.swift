// Rebuilds an index from its rows, in steps, while rows are written.
//
// Every step is conditional on the state that it read, so it survives a crash, and two processes do no harm. While the
// index fills, triggers write entries of changed rows. A row has one entry or none, by `search_message_rows`, so the
// filling skips a trigger's rows.
import Storage

struct SearchRebuild: Sendable {
    /// Bytes of words in one step of the filling.
    private static let maxBytes: Int64 = 128 << 10

    let database: any SQLDatabase

    struct Report: Sendable {
        var rows = 0
        /// The reason; `nil` if there was nothing to do.
        var reason: String?
        var isFinished = true
    }

    /// Continues running rebuilds to their end, or until it may not continue.
    func run(while mayGoOn: @Sendable () async throws -> Bool = { true }) async throws -> Report {
        var report = Report()
        for table in SearchTable.allCases where database.engine == .sqlite {
            try await rebuild(table, &report, while: mayGoOn)
        }
        return report
    }

    private func rebuild(
        _ table: SearchTable,
        _ report: inout Report,
        while mayGoOn: @Sendable () async throws -> Bool
    ) async throws {
        var drain = SearchPace(first: 64, upTo: 512)
        var fill = SearchPace(first: 32, upTo: 256)
        while true {
            let status = try await SearchIndex.status(of: table, in: database)
            guard status.state != .ready else { return }
            report.reason = status.reason ?? report.reason
            guard try await mayGoOn() else {
                report.isFinished = false
                return
            }
            switch status.state {
            case .ready: return
            case .draining: try await drainStep(table, &drain)
            case .filling: report.rows += try await fillStep(table, from: status.filledTo, &fill)
            }
        }
    }

    private func drainStep(_ table: SearchTable, _ pace: inout SearchPace) async throws {
        let statements = SearchRebuildStatements.of(table)
        let removed = try await pace.run { size in
            let results = try await database.run(Transaction(statements.drain(count: size)), priority: .long)
            return results.all.reduce(0) { $0 + $1.affected }
        }
        guard removed == 0 else { return }
        // The log still has the deleted pages; the next purge is sure to empty it.
        _ = await database.reclaimDeletedBytes()
        let triggers = try await database.run(statements.triggers()).rows.map { row in
            Statement("search.create_\(try row.text("name"))", .writes, [:], try row.text("sql"))
        }
        guard triggers.count == 3 else { throw StorageError.invalidRow(column: "search_triggers") }
        _ = try await database.run(Transaction(statements.beginFilling(with: triggers)), priority: .long)
    }

    private func fillStep(_ table: SearchTable, from: String, _ pace: inout SearchPace) async throws -> Int {
        let statements = SearchRebuildStatements.of(table)
        var rows: [(id: String, createdAt: Instant)] = []
        var bytes: Int64 = 0
        for row in try await database.run(statements.pending(after: from, count: pace.size)).rows {
            bytes += try row.integer("size")
            guard rows.isEmpty || bytes <= Self.maxBytes else { break }
            rows.append((try row.text("id"), try row.instant("created_at")))
        }
        guard let last = rows.last?.id else {
            _ = try await database.run(statements.endRebuild(from: from), priority: .long)
            return 0
        }
        // FTS5 takes ascending positions as one segment.
        let ids = rows.sorted { $0.createdAt < $1.createdAt }.map(\.id)
        var transaction = Transaction()
        let advanced = statements.fill(ids: ids, from: from, to: last, in: &transaction)
        return try await pace.run { [transaction] _ in
            try await database.run(transaction, priority: .long)[advanced].affected == 1 ? ids.count : 0
        }
    }
}
