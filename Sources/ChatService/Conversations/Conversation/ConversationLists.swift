import ServiceKit
import Storage

extension Conversations {
    struct Filter: Sendable {
        let archived: Bool?
        let pinned: Bool?
        var tag: TagName?
        /// Of titles.
        var query: SearchQuery?
    }

    func list(_ filter: Filter, for caller: Caller, page: PageRequest) async throws -> Page<Conversation> {
        let own = ConversationListStatements.Filter(
            owner: caller.id,
            archived: filter.archived,
            pinned: filter.pinned
        )
        let place = Self.place(of: page)
        let limit = page.fetchCount
        var transaction = Transaction()
        let rows: Transaction.Handle
        let count: BoundStatement
        if let query = filter.query {
            let query = ConversationTitleStatements.Query(
                matching: query,
                tag: filter.tag,
                owner: caller.id,
                engine: database.engine
            )
            let isOfFew = try await hasFewMatches(query)
            rows = transaction.add(
                ConversationTitleStatements.page(of: own, matching: query, isOfFew: isOfFew, at: place, limit: limit)
            )
            count = ConversationTitleStatements.count(of: own, matching: query)
        } else if let name = filter.tag {
            guard let tag = try await tag(name, of: caller) else {
                var none = Page<Conversation>(fetched: [], request: page, cursor: \.cursor)
                if page.wantsCount { none.total = 0 }
                return none
            }
            rows = transaction.add(
                ConversationListStatements.page(
                    of: own,
                    withTag: tag.id,
                    isOnFew: tag.isOnFew,
                    at: place,
                    limit: limit
                )
            )
            count = ConversationListStatements.count(of: own, withTag: name)
        } else {
            rows = transaction.add(ConversationListStatements.page(of: own, at: place, limit: limit))
            count = ConversationListStatements.count(of: own)
        }
        let total = page.wantsCount ? transaction.add(count) : nil
        let results =
            filter.query == nil
            ? try await database.run(transaction) : try await SearchReadiness.run(transaction, on: database)
        var answer = Page(
            fetched: try results[rows].rows.map { try Conversation($0, whole: false) },
            request: page,
            cursor: \.cursor
        )
        if let total { answer.total = try results[total].first?.integer("total") }
        return answer
    }

    private static func place(of page: PageRequest) -> ConversationListStatements.Place {
        if let offset = page.offset { return .offset(offset) }
        // Without a cursor, past every row in the direction of the page.
        guard page.direction == .forward else {
            return .newer(than: page.cursor ?? Cursor(position: 0, id: ""))
        }
        return .older(than: page.cursor ?? .beyondNewest)
    }

    /// Up to this count, look-ups are cheaper than a walk of the range.
    static let smallLimit: Int64 = 1000

    /// The caller's tag, and whether it is on few conversations; `nil` if it is on none or does not exist.
    private func tag(_ name: TagName, of caller: Caller) async throws -> (id: String, isOnFew: Bool)? {
        guard let row = try await database.run(TagStatements.find(name: name, owner: caller.id)).first else {
            return nil
        }
        let count = try row.integer("conversation_count")
        return count > 0 ? (try row.text("id"), count <= Self.smallLimit) : nil
    }

    /// Whether few titles match.
    private func hasFewMatches(_ query: ConversationTitleStatements.Query) async throws -> Bool {
        var transaction = Transaction()
        let counted = transaction.add(
            ConversationTitleStatements.countSome(matching: query, limit: Self.smallLimit + 1)
        )
        let results = try await SearchReadiness.run(transaction, on: database)
        return try results[counted].first?.integer("matches") ?? 0 <= Self.smallLimit
    }
}
