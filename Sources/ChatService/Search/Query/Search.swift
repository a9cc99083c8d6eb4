//
// FTS5's entries are in the order newest first, so SQLite stops when the page is full. A GIN index has no order, and a
// common word of a busy owner is in 100,000 rows. So PostgreSQL searches the owner's newest window of time, then ever
// larger groups of ever wider ones, and sixteenths where there are too many candidates to sort. A page costs a few
// index probes, for rare and common words alike.
import ServiceKit
import Storage

struct Search: Sendable {
    let database: any SQLDatabase
    let clock: Clock

    struct Request: Sendable {
        let query: SearchQuery
        var conversation: String?
        var role: MessageRole?
        var from: Instant?
        var to: Instant?
        var limit = 20
        var after: SearchCursor?
        var byRelevance = false
    }

    struct Answer: Sendable {
        let hits: [SearchHit]
        let next: SearchCursor?
        let hasMore: Bool
        /// Whether every stored text is indexed; false during the backfill.
        let isComplete: Bool
    }

    static let maxCandidates = 500

    func find(_ request: Request, for caller: Caller) async throws -> Answer {
        let fetch = request.byRelevance ? SearchRanking.considered : request.limit + 1
        var hits = try await find(.message, request, caller, fetch)
        // A title has no role, and is no message of its conversation.
        if request.role == nil, request.conversation == nil {
            hits += try await find(.conversation, request, caller, fetch)
            // A merge: sorting is stable within equals of one kind, which each came in their own order.
            let order = hits.indices.sorted { a, b in
                if SearchCursor.precedes(hits[a], hits[b]) { return true }
                return SearchCursor.precedes(hits[b], hits[a]) ? false : a < b
            }
            hits = order.prefix(fetch).map { hits[$0] }
        }
        let isComplete = try await SearchBackfill(database: database).isComplete()
        let hasMore = hits.count > request.limit
        if request.byRelevance {
            hits = Array(SearchRanking.sorted(hits, request.query).prefix(request.limit))
            return Answer(hits: hits, next: nil, hasMore: hasMore, isComplete: isComplete)
        }
        hits = Array(hits.prefix(request.limit))
        return Answer(hits: hits, next: hasMore ? hits.last?.place : nil, hasMore: hasMore, isComplete: isComplete)
    }

    // MARK: - One kind of hit

    private func find(
        _ kind: SearchHit.Kind,
        _ request: Request,
        _ caller: Caller,
        _ fetch: Int
    ) async throws -> [SearchHit] {
        let scan = SearchScan(
            database: database,
            kind: kind,
            request: request,
            scope: SearchScope(
                engine: database.engine,
                owner: caller.id,
                conversation: request.conversation,
                role: request.role?.rawValue
            ),
            after: (request.after ?? .newest).place(among: kind, database.engine),
            now: clock.now(),
            fetch: fetch
        )
        return try await database.engine == .sqlite ? scan.read() : scan.readByWindows()
    }
}

struct SearchScan: Sendable {
    let database: any SQLDatabase
    let kind: SearchHit.Kind
    let request: Search.Request
    let scope: SearchScope
    let after: SearchCursor
    let now: Instant
    let fetch: Int

    func read() async throws -> [SearchHit] {
        var position = after.position
        if let to = request.to { position = min(position, SearchPosition.first(of: to + SearchPosition.slack)) }
        return try await run(request.query.fts5(scope), position: position, maxCandidates: .max).hits
    }

    /// Window by window, the newest first.
    ///
    /// Groups and windows grow: for a rare word all of time is a few queries, and for a common one no group has many
    /// times the candidates of the previous one. PostgreSQL finds all of a group's candidates before it counts. A group
    /// with too many restarts with its first window alone, in sixteenths. Candidates may be in the trash, so it
    /// continues until there are enough hits.
    func readByWindows() async throws -> [SearchHit] {
        let newest = SearchScope.Window.second(min(request.to ?? .farFuture, after.time))
        let oldest = SearchScope.Window.second(request.from ?? Instant(seconds: 0))
        let present = SearchScope.Window(level: 1, containing: min(newest, SearchScope.Window.second(now)))
        // Rows from the future (imported, or of a clock that was set back) are few, and included with the present.
        let later = present.following(until: newest)
        let earlier = present.preceding(until: oldest)
        var (found, isWhole) = try await run(in: later + [present])
        var (waiting, size) = (earlier[...], 2)
        if !isWhole {
            (found, isWhole) = later.isEmpty ? ([], true) : try await run(in: later)
            if !isWhole { found = [] }
            (waiting, size) = (((isWhole ? [] : later) + [present] + earlier)[...], 1)
        }
        while found.count < fetch, !waiting.isEmpty {
            let group = waiting.prefix(size)
            let isSmallest = group.count == 1 && group.allSatisfy { $0.level == 0 }
            let (hits, isWhole) = try await run(in: Array(group), sortingAll: isSmallest)
            if isWhole {
                found += hits
                waiting = waiting.dropFirst(group.count)
                size *= 2
            } else {
                if group.count == 1 { waiting = (group.flatMap(\.parts) + waiting.dropFirst())[...] }
                size = 1
            }
        }
        return Array(found.prefix(fetch))
    }

    /// `nil` if there are too many candidates to sort.
    private func run(
        in windows: [SearchScope.Window],
        sortingAll: Bool = false
    ) async throws -> (hits: [SearchHit], isWhole: Bool) {
        // More candidates than hits: some precede the page or are in the trash.
        let maxCandidates = sortingAll ? Int64.max : Int64(max(Search.maxCandidates, 2 * fetch))
        let text = request.query.tsquery(scope, in: windows)
        let (hits, candidates) = try await run(text, position: after.position, maxCandidates: maxCandidates)
        return (hits, candidates < maxCandidates)
    }

    private func run(
        _ query: String,
        position: Int64,
        maxCandidates: Int64
    ) async throws -> (hits: [SearchHit], candidates: Int64) {
        var transaction = Transaction()
        let found = transaction.add(
            SearchStatements.hits(
                of: kind,
                for: query,
                owner: scope.owner,
                conversation: request.conversation,
                from: request.from,
                to: request.to,
                beyond: after,
                position: position,
                maxCandidates: maxCandidates,
                limit: fetch
            )
        )
        let result = try await SearchReadiness.run(transaction, on: database)[found]
        let candidates = try result.first?.integer("candidates") ?? 0
        let rows = try result.rows.filter { try $0.optionalText("id") != nil }
        return (try rows.map { try SearchHit($0, kind: kind) }, candidates)
    }
}
