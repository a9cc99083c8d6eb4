// Pages of what a search finds, the newest first.
//
// FTS5's entries are in that order, so SQLite stops when the page is full. A GIN index has no order, so PostgreSQL
// finds all candidates before it sorts them. For a person with some thousand messages that is one question
// (SearchSize). A common word of a busy owner is in 100,000 rows. There PostgreSQL searches the owner's newest window
// of time, then ever larger groups of ever wider ones, and sixteenths where there are too many candidates. If the
// first groups do not fill the page, the word is rare, and all of time is searched at once.
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
        /// Whether there were more candidates than are sorted, so that hits are missing, newer ones among them.
        let isPartial: Bool
    }

    static let maxCandidates = 500
    /// The most candidates that are sorted where they cannot be divided by windows.
    static let maxSorted: Int64 = 10_000
    /// Groups of windows that are searched before all of time is.
    static let maxGroups = 4

    func find(_ request: Request, for caller: Caller) async throws -> Answer {
        let fetch = request.byRelevance ? SearchRanking.considered : request.limit + 1
        var isSmall = false
        if database.engine == .postgres {
            isSmall = try SearchSize.isSmall(try await database.run(SearchSize.of(owner: caller.id)))
        }
        var (hits, isPartial) = try await find(.message, request, caller, fetch, isSmall: isSmall)
        // A title has no role, and is no message of its conversation.
        if request.role == nil, request.conversation == nil {
            let titles = try await find(.conversation, request, caller, fetch, isSmall: isSmall)
            hits += titles.hits
            isPartial = isPartial || titles.isPartial
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
            hits = try await withLeaves(hits, of: caller)
            return Answer(hits: hits, next: nil, hasMore: hasMore, isComplete: isComplete, isPartial: isPartial)
        }
        hits = Array(hits.prefix(request.limit))
        let next = hasMore ? hits.last?.place : nil
        hits = try await withLeaves(hits, of: caller)
        return Answer(hits: hits, next: next, hasMore: hasMore, isComplete: isComplete, isPartial: isPartial)
    }

    /// With the branches of messages, so that a client can jump to them.
    private func withLeaves(_ hits: [SearchHit], of caller: Caller) async throws -> [SearchHit] {
        let messages = hits.filter { $0.kind == .message }.map { ($0.id, $0.conversationID) }
        let leaves = try await BranchLeaves(database: database).find(messages, of: caller.id)
        return hits.map { hit in
            var hit = hit
            if hit.kind == .message { hit.leaf = leaves[hit.id] }
            return hit
        }
    }

    // MARK: - One kind of hit

    private func find(
        _ kind: SearchHit.Kind,
        _ request: Request,
        _ caller: Caller,
        _ fetch: Int,
        isSmall: Bool
    ) async throws -> (hits: [SearchHit], isPartial: Bool) {
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
        if database.engine == .sqlite { return (try await scan.read(), false) }
        if isSmall, let hits = try await scan.readWhole() { return (hits, false) }
        return try await scan.readByWindows()
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

    /// All of time at once. Returns `nil` if it has more candidates than are sorted.
    func readWhole() async throws -> [SearchHit]? {
        let text = request.query.tsquery(scope, in: [])
        let (hits, candidates) = try await run(text, position: after.position, maxCandidates: Search.maxSorted)
        return candidates < Search.maxSorted ? hits : nil
    }

    /// Window by window, the newest first.
    ///
    /// Groups and windows grow, and no group has many times the candidates of the previous one. PostgreSQL finds all of
    /// a group's candidates before it counts. A group with too many restarts with its first window alone, in
    /// sixteenths. Of a window that cannot be divided, some candidates are left out. Candidates may be in the trash, so
    /// it continues until there are enough hits.
    func readByWindows() async throws -> (hits: [SearchHit], isPartial: Bool) {
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
        var isPartial = false
        var groups = 0
        while found.count < fetch, !waiting.isEmpty {
            if groups == Search.maxGroups, let hits = try await readWhole() { return (hits, false) }
            groups += 1
            let group = waiting.prefix(size)
            let isSmallest = group.count == 1 && group.allSatisfy { $0.level == 0 }
            let (hits, isWhole) = try await run(in: Array(group), isSmallest: isSmallest)
            if isWhole || isSmallest {
                isPartial = isPartial || !isWhole
                found += hits
                waiting = waiting.dropFirst(group.count)
                size *= 2
            } else {
                if group.count == 1 { waiting = (group.flatMap(\.parts) + waiting.dropFirst())[...] }
                size = 1
            }
        }
        return (Array(found.prefix(fetch)), isPartial)
    }

    /// `isSmallest`: the one window cannot be divided, so more candidates are sorted. `isWhole`: these were all.
    private func run(
        in windows: [SearchScope.Window],
        isSmallest: Bool = false
    ) async throws -> (hits: [SearchHit], isWhole: Bool) {
        // More candidates than hits: some are in the trash.
        let maxCandidates = isSmallest ? Search.maxSorted : Int64(max(Search.maxCandidates, 2 * fetch))
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
