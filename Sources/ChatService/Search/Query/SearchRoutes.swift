import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct SearchRoutes: Sendable {
    let search: Search

    enum Sort: String, CaseIterable {
        case recent, relevance
    }

    func mount(on group: RouterGroup<ChatRequestContext>) {
        group.get("search", use: find)
    }

    @Sendable func find(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let parameters = QueryParameters(request)
        var asked = Search.Request(query: try SearchQuery(parameters))
        // An impossible id matches nothing.
        if let id = try parameters.text("conversation_id") {
            guard RowID.isValid(id) else { throw APIError.field("conversation_id", "invalid", "must be an id") }
            asked.conversation = id.verbatim
        }
        asked.role = try parameters.choice("role", of: MessageRole.self)
        asked.from = try Self.instant("from", parameters)
        asked.to = try Self.instant("to", parameters)
        asked.limit = try parameters.integer("limit", in: 1...100) ?? 20
        asked.byRelevance = try parameters.choice("sort", of: Sort.self) == .relevance
        if let after = parameters["after"] {
            guard !asked.byRelevance else {
                throw APIError.field("after", "invalid", "cannot be combined with sort=relevance")
            }
            asked.after = try SearchCursor(after)
        }
        let answer = try await search.find(asked, for: try context.caller)
        return .json(
            JSONWriter.object { writer in
                writer.array("data") { writer in
                    for hit in answer.hits { writer.object { hit.writeMembers(to: &$0, asked.query) } }
                }
                writer.field("next_cursor", answer.next?.encoded)
                writer.field("has_more", answer.hasMore)
                writer.field("complete", answer.isComplete)
            }
        )
    }

    private static func instant(_ name: String, _ parameters: QueryParameters) throws(APIError) -> Instant? {
        guard let text = parameters[name] else { return nil }
        guard let instant = Instant(rfc3339: text.verbatim) else {
            throw .field(name, "invalid", "must be a time such as 2026-11-21T04:30:00Z")
        }
        return instant
    }
}
