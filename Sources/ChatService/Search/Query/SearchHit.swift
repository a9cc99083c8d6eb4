import OpenSSLCrypto
import ServiceKit
import Storage

struct SearchHit: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case message, conversation
    }

    let kind: Kind
    let id: String
    let conversationID: String
    let title: String?
    let sequence: Int64?
    let role: String?
    let createdAt: Instant
    /// The text for the snippet, or its beginning.
    let text: String
    /// Its place among hits of its kind.
    let place: SearchCursor
    /// Of a message: where the branch ends on which it is shown.
    var leaf: BranchLeaf?

    init(_ row: Row, kind: Kind) throws(StorageError) {
        self.kind = kind
        id = try row.text("id")
        conversationID = try row.text("conversation_id")
        title = try row.optionalText("title")
        sequence = try row.optionalInteger("seq")
        role = try row.optionalText("role")
        createdAt = try row.instant("created_at")
        text = try row.optionalText("found_text") ?? ""
        place = SearchCursor(
            kind: kind,
            time: try row.instant("placed_at"),
            position: try row.integer("position"),
            id: id
        )
    }

    func writeMembers(to writer: inout JSONWriter, _ query: SearchQuery) {
        writer.field("type", kind.rawValue)
        writer.field("id", id)
        writer.field("conversation_id", conversationID)
        writer.field("title", title)
        writer.field("seq", sequence)
        writer.field("role", role)
        writer.field("created_at", createdAt)
        if kind == .message {
            writer.field("on_head_branch", leaf?.isShown ?? false)
            writer.field("leaf_id", leaf?.shown ?? id)
        }
        writer.array("snippet") { writer in
            for piece in SearchSnippet.make(of: text, query) {
                writer.object { writer in
                    writer.field("text", piece.text)
                    writer.field("match", piece.isMatch)
                }
            }
        }
    }
}

/// The end of a page of hits. Hits are newest first. At one microsecond messages come before titles; the rest is the
/// engine's order: by number and id on PostgreSQL, by arrival on SQLite.
struct SearchCursor: Sendable, Hashable {
    let kind: SearchHit.Kind
    let time: Instant
    /// The message's number (0 for a title) on PostgreSQL, the entry's position on SQLite.
    let position: Int64
    let id: String

    init(kind: SearchHit.Kind, time: Instant, position: Int64, id: String) {
        self.kind = kind
        self.time = time
        self.position = position
        self.id = id
    }

    static let newest = SearchCursor(kind: .message, time: .farFuture, position: .max, id: "~")

    var encoded: String {
        Base64URL.encode(Array("search \(kind.rawValue) \(time.microseconds) \(position) \(id)".utf8))
    }

    init(_ text: RequestText) throws(APIError) {
        let parts = Cursor.plain(text)?.pieces(between: " ", omittingEmpty: false) ?? []
        guard parts.count == 5, parts[0] == "search",
            let kind = parts[1].keyword.flatMap(SearchHit.Kind.init(rawValue:)),
            let time = Int64(parts[2].verbatim), (0...Instant.farFuture.microseconds).contains(time),
            let position = Int64(parts[3].verbatim), position >= 0, RowID.isValid(parts[4])
        else { throw APIError(.invalidCursor) }
        self.init(kind: kind, time: Instant(microseconds: time), position: position, id: parts[4].verbatim)
    }

    /// The corresponding place in the order of another kind.
    func place(among kind: SearchHit.Kind, _ engine: SQLEngine) -> SearchCursor {
        guard kind != self.kind else { return self }
        // Titles follow the messages of their microsecond.
        let isIncluded = kind == .conversation
        let time = Instant(microseconds: time.microseconds)
        switch engine {
        case .postgres: return SearchCursor(kind: kind, time: time, position: isIncluded ? 1 : -1, id: "")
        case .sqlite:
            let first = SearchPosition.first(of: time)
            return SearchCursor(kind: kind, time: time, position: first + (isIncluded ? 2048 : 0), id: "")
        }
    }

    static func precedes(_ a: SearchHit, _ b: SearchHit) -> Bool {
        a.place.time > b.place.time || (a.place.time == b.place.time && a.kind == .message && b.kind != .message)
    }
}

/// Positions of entries in FTS5, as the schema's triggers compute them.
enum SearchPosition {
    /// How far a position may be ahead of its row's time.
    static let slack: Duration = .seconds(3)

    /// The first position of a microsecond.
    static func first(of instant: Instant) -> Int64 {
        min(max(instant.microseconds, 0), 4_500_000_000_000_000) * 2048
    }
}
