// Keyset pages: a cursor is the key of a row, so page 1,000 costs the same as page 1.
//
// Lists answer `{data, next_cursor, prev_cursor, has_more}`. A cursor names its list, and other lists refuse it. It is
// opaque, not secret: it only selects among the caller's own rows.
import Hummingbird
import OpenSSLCrypto
package import Storage

/// The key of a row in a list that is ordered by a time or number, then by id.
package struct Cursor: Sendable, Hashable {
    package let position: Int64
    package let id: String

    package init(position: Int64, id: String) {
        self.position = position
        self.id = id
    }

    package init(_ instant: Instant, _ id: String) {
        self.init(position: instant.microseconds, id: id)
    }

    package var instant: Instant { Instant(microseconds: position) }

    /// Sorts after every row: the beginning of a list that is newest first.
    package static let beyondNewest = Cursor(position: Instant.farFuture.microseconds, id: "~")

    /// Keeps a forged cursor within the range of both engines.
    private static let positions = Instant.distantPast.microseconds...Instant.farFuture.microseconds

    package func encoded(for list: String) -> String {
        Base64URL.encode(Array("\(list) \(position) \(id)".utf8))
    }

    package static func list(of text: RequestText) -> RequestText? {
        plain(text)?.pieces(between: " ", omittingEmpty: false).first
    }

    package init(_ text: RequestText, for list: String) throws(APIError) {
        let parts = Self.plain(text)?.pieces(between: " ", omittingEmpty: false) ?? []
        guard parts.count == 3, parts[0] == RequestText(list), let position = Int64(parts[1].verbatim),
            Self.positions.contains(position), parts[2].isEmpty || RowID.isValid(parts[2])
        else { throw APIError(.invalidCursor) }
        self.init(position: position, id: parts[2].verbatim)
    }

    /// What a cursor says, of this kind or another.
    package static func plain(_ text: RequestText) -> RequestText? {
        guard text.byteCount <= 512, let bytes = Base64URL.decode(text.verbatim) else { return nil }
        return String(validating: bytes, as: UTF8.self).map { RequestText($0) }
    }
}

package struct PageRequest: Sendable {
    package enum Direction: Sendable { case forward, backward }

    package let limit: Int
    /// The page starts after this row in `direction`; `nil` for the list's beginning.
    package let cursor: Cursor?
    package let direction: Direction
    package let wantsCount: Bool
    /// Rows to skip, for a page number.
    package private(set) var offset: Int64?

    /// The last row that a page number reaches: skipped rows are read too, so there is a limit.
    package static let furthestRow = 10_000

    /// One extra row shows whether there are more.
    package var fetchCount: Int64 { Int64(limit) + 1 }

    package init(limit: Int, cursor: Cursor?, direction: Direction, wantsCount: Bool = false) {
        self.limit = limit
        self.cursor = cursor
        self.direction = direction
        self.wantsCount = wantsCount
    }

    /// Of lists whose `limit` is not given.
    package static let defaultLimit = 20
    package static let limit = QueryParameter.integer("limit", in: 1...100)
    package static let after = QueryParameter.text("after")
    package static let before = QueryParameter.text("before")
    package static let count = QueryParameter.boolean("count")
    package static let page = QueryParameter.integer("page", in: 1...furthestRow)

    /// What a list takes in its query that does not count its rows.
    package static let uncountedQuery = QueryDeclaration(limit, after, before)
    /// What a list takes in its query.
    package static let query = uncountedQuery.and(count)
    /// What a list takes that can be paged by number.
    package static let numberedQuery = query.and(page)

    /// Reads `page`, from 1, or else a cursor as `init(_:list:)` does.
    package init(numbered query: QueryParameters, list: String) throws(APIError) {
        try self.init(query, list: list)
        guard let page = try query[Self.page] else { return }
        let last = Self.furthestRow / limit
        guard page <= last else {
            throw .field("page", "out_of_range", "must be from 1 to \(last)", .range(1...last))
        }
        guard cursor == nil else { throw .field("page", "invalid", "cannot be combined with after or before") }
        offset = Int64(page - 1) * Int64(limit)
    }

    /// Reads `limit` (1–100, default 20), `after` or `before`, and `count`.
    package init(_ query: QueryParameters, list: String) throws(APIError) {
        let limit = try query[Self.limit] ?? Self.defaultLimit
        let wantsCount = query.declares(Self.count) ? try query[Self.count] ?? false : false
        switch (try query[Self.after], try query[Self.before]) {
        case (nil, nil): self.init(limit: limit, cursor: nil, direction: .forward, wantsCount: wantsCount)
        case (let after?, nil):
            self.init(limit: limit, cursor: try Cursor(after, for: list), direction: .forward, wantsCount: wantsCount)
        case (nil, let before?):
            self.init(limit: limit, cursor: try Cursor(before, for: list), direction: .backward, wantsCount: wantsCount)
        case (_?, _?): throw .field("before", "invalid", "cannot be combined with after")
        }
    }
}

package struct Page<Item: Sendable>: Sendable {
    package let items: [Item]
    package let next: Cursor?
    package let previous: Cursor?
    package let hasMore: Bool
    package var total: Int64?

    package init(items: [Item], next: Cursor?, previous: Cursor?, hasMore: Bool, total: Int64? = nil) {
        self.items = items
        self.next = next
        self.previous = previous
        self.hasMore = hasMore
        self.total = total
    }

    /// The same page of other items.
    package func with(items: [Item]) -> Page {
        Page(items: items, next: next, previous: previous, hasMore: hasMore, total: total)
    }

    /// Makes a page of up to `limit + 1` items in the direction of the request. `isCut`: there are more although fewer
    /// were fetched.
    package init(fetched: [Item], request: PageRequest, isCut: Bool = false, cursor: (Item) -> Cursor) {
        let hasMore = isCut || fetched.count > request.limit
        var items = Array(fetched.prefix(request.limit))
        if request.direction == .backward { items.reverse() }
        self.items = items
        self.hasMore = hasMore
        switch request.direction {
        case .forward:
            self.next = hasMore ? items.last.map(cursor) : nil
            self.previous = request.cursor == nil ? nil : items.first.map(cursor)
        case .backward:
            self.next = items.last.map(cursor)
            self.previous = hasMore ? items.first.map(cursor) : nil
        }
    }

    /// `more`: further members.
    package func json(
        list: String,
        more: (inout JSONWriter) -> Void = { _ in },
        _ write: (inout JSONWriter, Item) throws -> Void
    ) rethrows -> JSONWriter {
        // Reserves a few hundred bytes for each item, so that the page is not copied as it grows.
        var writer = JSONWriter(reserving: 256 + items.count * 640)
        try writer.object { writer in
            try writer.array("data") { writer in
                for item in items { try write(&writer, item) }
            }
            writer.field("next_cursor", next?.encoded(for: list))
            writer.field("prev_cursor", previous?.encoded(for: list))
            writer.field("has_more", hasMore)
            if let total { writer.field("total", total) }
            more(&writer)
        }
        return writer
    }
}
