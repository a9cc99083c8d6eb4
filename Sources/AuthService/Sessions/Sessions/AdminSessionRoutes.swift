import Hummingbird
import ServiceKit

struct AdminSessionRoutes: Sendable {
    let users: Users
    let sessions: Sessions

    private static let maxIDs = 500

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get("sessions", query: PageRequest.uncountedQuery.and(Self.ended, Self.user), use: list)
        router.delete("sessions/:id", use: revoke)
        router.post("sessions/revoke", use: revokeMany)
        router.get("users/:id/sessions", query: PageRequest.uncountedQuery.and(Self.ended), use: listOfUser)
        router.delete("users/:id/sessions", use: revokeOfUser)
    }

    private static let ended = QueryParameter.boolean("ended")
    private static let user = QueryParameter.id("user_id")

    @Sendable private func list(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let query = context.query
        let page = try await sessions.list(
            ofUser: try query[Self.user],
            includeEnded: try query[Self.ended] ?? false,
            try PageRequest(query, list: Sessions.listName)
        )
        return .json(page.json(list: Sessions.listName) { $1.write(to: &$0) })
    }

    @Sendable private func revoke(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let isThere = try await sessions.revoke(
            try context.id(),
            owner: nil,
            reason: .revokedByAdmin,
            actor: caller.userID,
            from: context.clientInfo(of: request)
        )
        guard isThere else { throw APIError(.notFound) }
        return .noContent()
    }

    /// Exactly one of `session_ids`, `user_ids` and `all: true`.
    @Sendable private func revokeMany(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let clientInfo = context.clientInfo(of: request)
        var body = try await request.jsonBody(limit: bodyLimit)
        let sessionIDs = body.texts("session_ids", count: 1...Self.maxIDs, max: 64)
        let userIDs = body.texts("user_ids", count: 1...Self.maxIDs, max: 64)
        let all = body.boolean("all") ?? false
        for (name, ids) in [("session_ids", sessionIDs), ("user_ids", userIDs)]
        where ids?.allSatisfy({ RowID.isValid($0) }) == false {
            body.addError(name, "invalid", "must hold ids")
        }
        if [sessionIDs != nil, userIDs != nil, all].filter(\.self).count != 1, body.errors.isEmpty {
            body.addError("session_ids", "required", "exactly one of session_ids, user_ids and all: true is needed")
        }
        try body.finish()
        if let sessionIDs {
            return revoked(
                try await sessions.revoke(sessionIDs.map(\.verbatim), actor: caller.userID, from: clientInfo)
            )
        }
        if let userIDs {
            return revoked(
                try await sessions.revokeAll(ofUsers: userIDs.map(\.verbatim), actor: caller.userID, from: clientInfo)
            )
        }
        try await sessions.revokeEverything(actor: caller.userID, from: clientInfo)
        return .json(JSONWriter.object { $0.field("revoked", "all") })
    }

    @Sendable private func listOfUser(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let id = try context.id()
        let query = context.query
        guard try await users.find(id: id) != nil else { throw APIError(.notFound) }
        let page = try await sessions.list(
            ofUser: id,
            includeEnded: try query[Self.ended] ?? false,
            try PageRequest(query, list: Sessions.listName)
        )
        return .json(page.json(list: Sessions.listName) { $1.write(to: &$0) })
    }

    @Sendable private func revokeOfUser(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let count = try await sessions.revokeAll(
            ofUser: try context.id(),
            reason: .revokedByAdmin,
            actor: caller.userID,
            from: context.clientInfo(of: request)
        )
        guard let count else { throw APIError(.notFound) }
        return revoked(count)
    }

    private func revoked(_ count: Int) -> Response {
        .json(JSONWriter.object { $0.field("revoked", count) })
    }
}
