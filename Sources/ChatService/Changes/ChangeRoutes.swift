// The change feed, as pages or as a stream, by the `Accept` of the request.
import HTTPTypes
import Hummingbird
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct ChangeRoutes: Sendable {
    let changes: Changes
    let feed: ChangeFeed
    let tickets: StreamTickets
    let verifier: TokenVerifier
    let blocked: BlockedPrincipals

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("changes", query: Self.query, use: changes)
            .post("changes/tickets", use: issue)
    }

    private static let after = QueryParameter.text("after")
    private static let limit = QueryParameter.integer("limit", in: 1...1000)
    static let query = QueryDeclaration(after, limit, StreamTicketMiddleware.ticket)

    @Sendable private func changes(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let caller = try context.caller
        let limit = try context.query[Self.limit] ?? 100
        let start = try Self.start(request, context.query)
        guard request.acceptsEventStream else {
            return .json(try await changes.page(from: start, limit: limit, for: caller).json())
        }
        guard feed.hasRoom(for: caller.id) else {
            throw APIError.retry(.rateLimited, afterSeconds: Int(feed.limits.timing.heartbeat.components.seconds))
        }
        // The end is read first: `caught_up` comes after everything up to it.
        let end = try await changes.end(of: caller)
        let cursor = start == .end ? end : try await changes.open(start, for: caller)
        guard cursor.epoch == end.epoch else { throw try await changes.gone(caller) }
        let stream = ChangeStream(
            feed: feed,
            caller: caller,
            cursor: cursor,
            end: end,
            channel: context.channel,
            isAuthorized: Reauthorization.of(request, caller.id, verifier: verifier, blocked: blocked)
        )
        return .eventStream { try await stream.write(to: &$0) }
    }

    @Sendable private func issue(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        guard case .token(let token) = BearerToken.read(request.headers) else { throw APIError(.tokenMissing) }
        let ticket = try await tickets.issue(for: token, to: try context.caller)
        return .json(
            JSONWriter.object { writer in
                writer.field("ticket", ticket)
                writer.field("expires_in", StreamTickets.lifetime.components.seconds)
            },
            status: .created,
            headers: [.cacheControl: "no-store"]
        )
    }

    /// A reconnecting client's header precedes the cursor of its URL.
    private static func start(_ request: Request, _ query: QueryParameters) throws(APIError) -> Changes.Start {
        let lastID = request.acceptsEventStream ? request.headers.text(.lastEventID) : nil
        if let lastID, !lastID.isEmpty { return .after(try EventCursor(lastID)) }
        switch try query[after] {
        case nil: return .oldest
        case .some("end"): return .end
        case let after?: return .after(try EventCursor(after))
        }
    }
}

extension Changes.Page {
    fileprivate func json() -> JSONWriter {
        JSONWriter.object { writer in
            writer.array("data") { writer in
                for change in changes { change.write(to: &writer, epoch: next.epoch) }
            }
            writer.field("next_cursor", next.text)
            writer.field("has_more", hasMore)
        }
    }
}
