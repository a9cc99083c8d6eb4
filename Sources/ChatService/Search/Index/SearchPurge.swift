// Removes the words of deleted and changed rows from FTS5's file, now and then.
//
// FTS5 writes a deletion beside the entry, and drops both when their segments are merged into the oldest one, which may
// be never (sqlite.org/fts5.html, "The 'merge' Command"). A pass merges all segments into one in small steps.
// PostgreSQL's VACUUM does the same by itself.
//
// A pass permanently adds two levels to FTS5's structure. So passes are hours apart, an unchanged index has none, and
// near SQLite's limit the index is rebuilt instead. A rebuild also replaces a pass if nearly every entry is gone: a
// merge step reads until it has written its pages, which is everything if there is nothing to write.
import ServiceKit
import Storage

package struct SearchPurge: Sendable {
    /// Between the beginnings of two passes.
    static let interval: Duration = .seconds(6 * 3600)
    /// SQLite 3.40 reads a structure of up to 2,000 levels.
    static let maxLevels = 1000

    let database: any SQLDatabase
    let clock: Clock

    package struct Report: Sendable, Hashable {
        package var passes = 0
        package var unfinished = 0
    }

    /// Continues unfinished passes, and begins due ones. `isForced`: every changed index is due.
    @discardableResult
    func run(
        isForced: Bool = false,
        while mayGoOn: @Sendable () async throws -> Bool = { true }
    ) async throws -> Report {
        var report = Report()
        for table in SearchTable.allCases where database.engine == .sqlite {
            try await purge(table, isForced: isForced, &report, while: mayGoOn)
        }
        return report
    }

    func isDue() async throws -> Bool {
        guard database.engine == .sqlite else { return false }
        for table in SearchTable.allCases where try await isDue(SearchIndex.status(of: table, in: database)) {
            return true
        }
        return false
    }

    private func isDue(_ status: SearchIndex.Status, isForced: Bool = false) -> Bool {
        guard status.state == .ready else { return false }
        if status.isPurging { return true }
        guard status.structure != status.purgedStructure, FTS5Structure(status.structure)?.segments != 0 else {
            return false
        }
        return isForced || status.purgeBeganAt.map { $0 + Self.interval <= clock.now() } ?? true
    }

    private func purge(
        _ table: SearchTable,
        isForced: Bool,
        _ report: inout Report,
        while mayGoOn: @Sendable () async throws -> Bool
    ) async throws {
        let status = try await SearchIndex.status(of: table, in: database)
        guard isDue(status, isForced: isForced), try await mayGoOn() else { return }
        if !status.isPurging, try await !begin(table, status) { return }
        report.unfinished += 1
        // After the last merge the log still has the old pages.
        guard let structure = try await merge(table, while: mayGoOn) else {
            // A rebuild replaces the pass.
            if try await SearchIndex.status(of: table, in: database).state != .ready { report.unfinished -= 1 }
            return
        }
        guard await database.reclaimDeletedBytes() else { return }
        // Further segments were written during the pass, and may delete words of the merged one.
        let isClean = FTS5Structure(structure).map { $0.segments <= 1 } ?? false
        let end = SearchPurgeStatements.of(table).endPurge(leaving: isClean ? structure : nil)
        _ = try await database.run(end, priority: .long)
        report.unfinished -= 1
        report.passes += 1
    }

    /// - Returns: whether a pass has begun; false if the index is rebuilt instead.
    private func begin(_ table: SearchTable, _ status: SearchIndex.Status) async throws -> Bool {
        let statements = SearchPurgeStatements.of(table)
        guard let structure = FTS5Structure(status.structure) else {
            throw StorageError.invalidRow(column: "structure")
        }
        if structure.levels.count >= Self.maxLevels {
            let reason = "\(structure.levels.count) levels in the index of \(table)"
            try await SearchIndex.beginRebuild(of: [table], in: database, because: reason)
            return false
        }
        if try await isNearlyEmpty(table, structure) {
            let reason = "nearly all words of \(table) were deleted"
            try await SearchIndex.beginRebuild(of: [table], in: database, because: reason)
            return false
        }
        // FTS5 does not rewrite a single segment, although it may contain deletions.
        if structure.segments == 1 {
            _ = try await database.run(statements.placeholder(), priority: .long)
        }
        let transaction = Transaction([statements.beginPurge(at: clock.now()), statements.merge(pages: -1)])
        _ = try await database.run(transaction, priority: .long)
        return true
    }

    /// Pages that one step may read: some 30 ms of them.
    private static let maxReadPages = 150
    /// Bytes of a page of FTS5 (sqlite.org/fts5.html, "The 'pgsz' Configuration Option").
    private static let pageSize = 4050
    /// Bytes of words that each entry has besides its row's own.
    private static let scopeSize = 20

    /// Whether a step would read more than `maxReadPages`, since so few words are left: it ends when it has written two
    /// pages of them. Looks at no more entries than it takes to know.
    private func isNearlyEmpty(_ table: SearchTable, _ structure: FTS5Structure) async throws -> Bool {
        guard structure.pages > Self.maxReadPages else { return false }
        var missing = 2 * structure.pages / Self.maxReadPages * Self.pageSize
        var place = Int64.min
        while missing > 0 {
            let rows = try await database.run(SearchPurgeStatements.of(table).entries(after: place)).rows
            guard let last = rows.last else { return true }
            place = try last.integer("position")
            missing -= try rows.reduce(0) { try $0 + $1.int("size") + Self.scopeSize }
        }
        return false
    }

    /// FTS5 moves a segment up to the level of one that is not smaller (`fts5StructurePromote`). So all may be on one
    /// level above empty ones; then no new level is made (`fts5IndexOptimizeStruct`), and the merge drops nothing.
    /// Segments on two levels are merged into the last, but a segment of one page would move up again.
    ///
    /// - Returns: whether a merge has begun; false if the index is rebuilt instead.
    private func beginAgain(_ table: SearchTable, _ structure: FTS5Structure) async throws -> Bool {
        if structure.pages == structure.segments {
            let reason = "the index of \(table) is too small to be merged"
            try await SearchIndex.beginRebuild(of: [table], in: database, because: reason)
            return false
        }
        let statements = SearchPurgeStatements.of(table)
        _ = try await database.run(
            Transaction([statements.placeholder(), statements.merge(pages: -1)]),
            priority: .long
        )
        return true
    }

    /// - Returns: the structure record once all is merged; `nil` if it could not continue.
    private func merge(
        _ table: SearchTable,
        while mayGoOn: @Sendable () async throws -> Bool
    ) async throws -> [UInt8]? {
        let statements = SearchPurgeStatements.of(table)
        var pace = SearchPace(first: 1, upTo: 128)
        var before: [UInt8] = []
        while true {
            let status = try await SearchIndex.status(of: table, in: database)
            guard status.state == .ready, let structure = FTS5Structure(status.structure) else { return nil }
            if !structure.isMergingIntoOldest, structure.endsWithSegments { return status.structure }
            // A step without effect would be repeated for ever.
            guard status.structure != before, try await mayGoOn() else { return nil }
            before = status.structure
            if !structure.isMergingIntoOldest {
                guard try await beginAgain(table, structure) else { return nil }
                continue
            }
            try await pace.run { size in
                _ = try await database.run(statements.merge(pages: size), priority: .long)
            }
        }
    }
}
