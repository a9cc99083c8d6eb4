// The job that completes every open erasure.
//
// It has two phases. First the rows of all open erasures are removed; then their bytes are reclaimed, once for all, and
// each erasure is completed. So a reader of an older state, for whom the log must stay, delays receipts and not the
// removal of rows. An attempt to reclaim blocks writers for a moment, so the pause after each refusal grows, and
// finished work is not repeated.
import Logging
import Storage

struct ErasureProgress: Sendable {
    private static let maxPause: Duration = .seconds(30)

    private let firstPause: Duration
    private var pause: Duration
    private var askAt = ContinuousClock.now
    /// Open erasures whose rows are gone.
    fileprivate var emptied: Set<String> = []

    /// `pause` follows the first refusal, and doubles after each other.
    init(pause: Duration = .seconds(1)) {
        firstPause = pause
        self.pause = pause
    }

    fileprivate var mayAsk: Bool { askAt <= .now }

    fileprivate mutating func asked(isDone: Bool) {
        askAt = isDone ? .now : .now + pause
        pause = isDone ? firstPause : min(pause * 2, max(Self.maxPause, firstPause))
    }
}

extension Erasures {
    private static let page: Int64 = 100

    /// Finishes open erasures.
    ///
    /// - Returns: how many were completed.
    @discardableResult
    package func finishOpen(while mayGoOn: @Sendable () async throws -> Bool = { true }) async throws -> Int {
        var progress = ErasureProgress()
        return try await finishOpen(&progress, while: mayGoOn)
    }

    /// The same, with the state of earlier passes.
    @discardableResult
    func finishOpen(
        _ progress: inout ErasureProgress,
        while mayGoOn: @Sendable () async throws -> Bool = { true }
    ) async throws -> Int {
        var completed = 0
        while true {
            guard try await removeRowsOfOpen(&progress, while: mayGoOn), !progress.emptied.isEmpty,
                try await reclaimStorage(&progress, while: mayGoOn)
            else { return completed }
            for erasure in progress.emptied.sorted() {
                if try await complete(erasure) { completed += 1 }
                progress.emptied.remove(erasure)
            }
        }
    }

    private func removeRowsOfOpen(
        _ progress: inout ErasureProgress,
        while mayGoOn: @Sendable () async throws -> Bool
    ) async throws -> Bool {
        var open: Set<String> = []
        var place = (requestedAt: Instant.distantPast, id: "")
        while true {
            let rows = try await database.run(
                ErasureStatements.open(requestedAfter: place.requestedAt, id: place.id, limit: Self.page)
            ).rows
            for row in rows {
                place = (try row.instant("requested_at"), try row.text("id"))
                open.insert(place.id)
                if progress.emptied.contains(place.id) { continue }
                guard try await removeRows(place.id, while: mayGoOn) else { return false }
                progress.emptied.insert(place.id)
            }
            if rows.count < Int(Self.page) { break }
        }
        // Without those that another node has completed.
        progress.emptied.formIntersection(open)
        return true
    }

    private func reclaimStorage(
        _ progress: inout ErasureProgress,
        while mayGoOn: @Sendable () async throws -> Bool
    ) async throws -> Bool {
        guard progress.mayAsk else { return false }
        guard try await mayGoOn() else { return false }
        let isDone = await database.reclaimDeletedBytes()
        progress.asked(isDone: isDone)
        if !isDone {
            logger.info("erasures wait for readers of the log", metadata: ["erasures": "\(progress.emptied.count)"])
        }
        return isDone
    }
}
