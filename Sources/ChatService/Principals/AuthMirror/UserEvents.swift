// auth's events about users, from the pages of the event feed.
package import ServiceKit
package import Storage
package import TesseraVerifierHummingbird

package struct UserEventFeed: Sendable {
    package static let kinds = FeedSelection.allCases.flatMap(\.kinds)

    let pages: any UserEventSource
    let news: EventNews

    package init(pages: any UserEventSource, news: EventNews) {
        self.pages = pages
        self.news = news
    }
}

package struct UserEvent: Sendable {
    package enum Change: Sendable {
        /// Created or updated; absent fields stay.
        case profile(name: Patch<String>, avatarURL: Patch<String>)
        case deactivated
        case reactivated
        case deleted
    }

    package let user: String
    package let at: Instant
    package let change: Change

    package init(user: String, at: Instant, change: Change) {
        self.user = user
        self.at = at
        self.change = change
    }
}

package struct UserEventPage: Sendable {
    package let events: [UserEvent]
    package let next: String
    package let hasMore: Bool

    package init(events: [UserEvent], next: String, hasMore: Bool) {
        self.events = events
        self.next = next
        self.hasMore = hasMore
    }
}

package protocol UserEventSource: Sendable {
    /// - Throws: `EventPages.Failure.cursorGone` if the feed has a gap after the cursor.
    func page(after cursor: String?, kinds: [String], limit: Int) async throws -> UserEventPage
}

extension EventPages: UserEventSource {
    package func page(after cursor: String?, kinds: [String], limit: Int) async throws -> UserEventPage {
        try UserEventPage(json: try await read(after: cursor, kinds: kinds, limit: limit))
    }
}

extension UserEventPage {
    /// A page that contradicts docs/events.md.
    package struct NotUnderstood: Error {}

    /// Reads the answer of `GET /v1/events`. A requested event that cannot be understood is an error: skipping it would
    /// lose it for good.
    package init(json: [UInt8]) throws {
        let page = try JSONElement.parse(json)
        guard let data = page["data"]?.array, let next = page["next_cursor"]?.text,
            let hasMore = page["has_more"]?.boolean
        else { throw NotUnderstood() }
        self.init(events: try data.compactMap(Self.event), next: next.verbatim, hasMore: hasMore)
    }

    private static func event(_ element: JSONElement) throws -> UserEvent? {
        guard let kind = element["kind"]?.text else { throw NotUnderstood() }
        let data = element["data"]
        let change: UserEvent.Change
        switch kind.keyword {
        case "user.created", "user.updated":
            change = .profile(name: patch(data?["name"]), avatarURL: patch(data?["avatar_url"]))
        case "user.deactivated": change = .deactivated
        case "user.reactivated": change = .reactivated
        case "user.deleted": change = .deleted
        default: return nil
        }
        guard let user = data?["user_id"]?.text, RowID.isValid(user),
            let at = element["at"]?.text.flatMap({ Instant(rfc3339: $0.verbatim) })
        else { throw NotUnderstood() }
        return UserEvent(user: user.verbatim, at: at, change: change)
    }

    private static func patch(_ element: JSONElement?) -> Patch<String> {
        guard let element else { return .absent }
        return element.text.map { .value($0.verbatim) } ?? .null
    }
}
