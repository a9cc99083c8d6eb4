import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct SearchRoutes: Sendable {
    let search: Search

    enum Sort: String, CaseIterable {
        case recent, relevance
    }

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group.get("search", query: Self.query, use: find)
    }

    private static let words = SearchQuery.parameter.required
    private static let conversation = QueryParameter.id("conversation_id")
    private static let role = QueryParameter.choice("role", of: MessageRole.self)
    private static let from = QueryParameter.instant("from")
    private static let to = QueryParameter.instant("to")
    private static let sort = QueryParameter.choice("sort", of: Sort.self)
    private static let limit = QueryParameter.integer("limit", in: 1...100)
    private static let after = QueryParameter.text("after")
    private static let query = QueryDeclaration(words, conversation, role, from, to, sort, limit, after)

    @Sendable func find(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let query = context.query
        guard let words = try query[Self.words] else { throw APIError(.internalError) }
        var asked = Search.Request(query: words)
        asked.conversation = try query[Self.conversation]
        asked.role = try query[Self.role]
        asked.from = try query[Self.from]
        asked.to = try query[Self.to]
        asked.limit = try query[Self.limit] ?? 20
        asked.byRelevance = try query[Self.sort] == .relevance
        if let after = try query[Self.after] {
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
                if answer.isPartial { writer.field("partial", true) }
            }
        )
    }
}
