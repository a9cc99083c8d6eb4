// The revocation feed, as pages or as a stream, by the `Accept` of the request.
import HTTPTypes
import Hummingbird
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct EventRoutes: Sendable {
    let log: EventLog
    let feed: EventFeed
    /// The limit of `?since=`.
    let retention: Duration

    static let scope = "events"

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get("events", query: EventQuery.declaration, use: events)
    }

    @Sendable private func events(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let query = try EventQuery(request, context.query, retention: retention)
        guard request.acceptsEventStream else {
            return .json(try await log.page(from: query.start, kinds: query.kinds, limit: query.limit).json())
        }
        let (cursor, state) = try await log.open(query.start, kinds: query.kinds)
        let stream = EventStream(
            feed: feed,
            cursor: cursor,
            opening: state,
            kinds: query.kinds,
            token: context.accessToken,
            channel: context.channel
        )
        return .eventStream { try await stream.write(to: &$0) }
    }
}

private struct EventQuery {
    let start: EventLog.Start
    let kinds: EventKinds
    let limit: Int

    private static let after = QueryParameter.text("after")
    private static let since = QueryParameter.duration("since")
    private static let kindsParameter = QueryParameter.text("kinds")
    private static let limit = QueryParameter.integer("limit", in: 1...1000)
    static let declaration = QueryDeclaration(after, since, kindsParameter, limit)

    init(_ request: Request, _ query: QueryParameters, retention: Duration) throws(APIError) {
        let after = try query[Self.after]
        let since = try query[Self.since]
        if let since, !(.seconds(1)...retention).contains(since) {
            let longest = "\(retention.components.seconds)s"
            throw .field("since", "out_of_range", "must be from 1s to \(longest)", .range("1s", longest))
        }
        if after != nil, since != nil { throw .field("since", "invalid", "cannot be combined with after") }
        let lastID = request.acceptsEventStream ? request.headers.text(.lastEventID) : nil
        if let lastID, !lastID.isEmpty {
            // A client that reconnects sends its first URL, and this header with its position.
            start = .after(try EventCursor(lastID))
        } else if let after {
            start = .after(try EventCursor(after))
        } else if let since {
            start = .since(since)
        } else {
            start = .oldest
        }
        kinds = try Self.kinds(query[Self.kindsParameter])
        limit = try query[Self.limit] ?? 100
    }

    private static func kinds(_ text: RequestText?) throws(APIError) -> EventKinds {
        guard let text else { return .all }
        var kinds: Set<EventKind> = []
        for name in text.pieces(between: ",", omittingEmpty: false) {
            guard let kind = EventKind.allCases.first(where: { RequestText($0.rawValue) == name }) else {
                let known = EventKind.allCases.map(\.rawValue)
                let detail = "must be of \(known.joined(separator: ", ")), with commas between them"
                throw .field("kinds", "invalid", detail, .oneOf(known))
            }
            kinds.insert(kind)
        }
        return EventKinds(kinds)
    }
}

extension EventLog.Page {
    fileprivate func json() -> JSONWriter {
        JSONWriter.object { writer in
            writer.array("data") { writer in
                for event in events { event.write(to: &writer, epoch: next.epoch) }
            }
            writer.field("next_cursor", next.text)
            writer.field("has_more", hasMore)
        }
    }
}

extension CursorGone: DomainError {
    var answer: any Error { APIError.cursorGone(now: end) }
}
