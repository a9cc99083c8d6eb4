// A sidebar: conversations that are not archived, pinned ones first, each group by its last message or, without one, by
// its making. A page is read in one transaction, from the group that its cursor is in and from the one after it.
import ServiceKit
import Storage

/// The newest message of a conversation, as a line of a list shows it.
struct LastMessage: Sendable {
    /// Characters of its text.
    static let maxLength = 280

    private let id: String
    private let sequence: Int64
    private let role: String
    private let type: String
    private let status: String
    private let createdAt: Instant
    /// The beginning of its text.
    private let preview: String?

    /// `nil` for a conversation without messages.
    init?(_ row: Row) throws(StorageError) {
        guard let id = try row.optionalText("last_id") else { return nil }
        self.id = id
        sequence = try row.integer("last_number")
        role = try row.text("last_role")
        type = try row.text("last_type")
        status = try row.text("last_status")
        createdAt = try row.instant("last_created_at")
        preview = try row.optionalText("last_text")
    }

    func writeMembers(to writer: inout JSONWriter) {
        writer.field("id", id)
        writer.field("seq", sequence)
        writer.field("role", role)
        writer.field("type", type)
        writer.field("status", status)
        writer.field("created_at", createdAt)
        writer.field("preview", preview)
    }
}

extension Conversations {
    struct SidebarRequest: Sendable {
        /// `nil` for both groups.
        var pinned: Bool?
        var withLast = false
    }

    func sidebar(
        _ request: SidebarRequest,
        for caller: Caller,
        page: PageRequest
    ) async throws -> Page<Conversation> {
        let isForward = page.direction == .forward
        // A cursor has the group in the lowest bit of its position.
        let cursor = page.cursor.map {
            (pinned: $0.position & 1 == 1, place: Cursor(position: $0.position >> 1, id: $0.id))
        }
        var groups = isForward ? [true, false] : [false, true]
        if let cursor, let index = groups.firstIndex(of: cursor.pinned) { groups.removeFirst(index) }
        if let pinned = request.pinned { groups.removeAll { $0 != pinned } }
        let edge = isForward ? Cursor.beyondNewest : Cursor(position: Instant.distantPast.microseconds, id: "")
        var transaction = Transaction()
        let handles = groups.map { pinned in
            let place = cursor.flatMap { $0.pinned == pinned ? $0.place : nil } ?? edge
            let read = SidebarStatements.page(
                of: caller.id,
                pinned: pinned,
                older: isForward,
                past: place,
                limit: page.fetchCount,
                withLast: request.withLast
            )
            return (pinned, transaction.add(read))
        }
        let count = ConversationListStatements.Filter(owner: caller.id, archived: false, pinned: request.pinned)
        let total = page.wantsCount ? transaction.add(ConversationListStatements.count(of: count)) : nil
        let results = try await database.run(transaction)
        var fetched: [(conversation: Conversation, cursor: Cursor)] = []
        for (pinned, handle) in handles {
            for row in results[handle].rows where fetched.count < Int(page.fetchCount) {
                var conversation = try Conversation(row, whole: false)
                if request.withLast { conversation.lastMessage = try LastMessage(row) }
                let place = try row.instant("place").microseconds
                fetched.append((conversation, Cursor(position: place << 1 | (pinned ? 1 : 0), id: conversation.id)))
            }
        }
        let read = Page(fetched: fetched, request: page, cursor: \.cursor)
        return Page(
            items: read.items.map(\.conversation),
            next: read.next,
            previous: read.previous,
            hasMore: read.hasMore,
            total: try total.flatMap { try results[$0].first?.integer("total") }
        )
    }

    /// Sets how far the owner has read: everything from 0, a number beyond the last is the last. Throws `not_found` and
    /// `user_inactive`.
    func mark(_ id: String, read sequence: Int64, by caller: Caller) async throws -> Conversation {
        var transaction = PrincipalTransaction(by: caller, at: clock.now())
        let marked = transaction.add(SidebarStatements.mark(id: id, owner: caller.id, read: sequence))
        guard let row = try await database.run(transaction)[marked].first else { throw APIError(.notFound) }
        return try Conversation(row, whole: true)
    }
}
