import HTTPTypes
import Hummingbird
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct SessionRoutes: Sendable {
    let sessions: Sessions
    let tokens: RefreshTokens
    let verifier: TokenVerifier
    /// Judges a genuine token by its session's row.
    let lookup: any RevocationLookup
    let cookies: SessionCookiePolicy
    let counters: RequestCounters

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.post("logout", use: logOut)
        router.get("session", query: QueryDeclaration(Self.audience), use: current)
    }

    private static let audience = QueryParameter.text(TokenAudiences.field)

    func mountAuthenticated(on router: RouteGroup<AuthRequestContext>) {
        router.get("me/sessions", query: PageRequest.uncountedQuery, use: list)
        router.delete("me/sessions/:id", use: revoke)
        router.post("me/sessions/revoke-others", use: revokeOthers)
    }

    /// Returns the cookie's session with a new access token, for a page that has just been opened.
    @Sendable private func current(_ request: Request, context: AuthRequestContext) async throws -> Response {
        guard let value = cookies.value(in: request.headers) else { throw APIError(.tokenMissing) }
        guard let cookie = SessionCookie(value: value) else { throw APIError(.tokenInvalid) }
        let (state, user) = try await sessions.current(cookie: cookie)
        try counters.count(person: state.user.id)
        let audience = try audience(context.query)
        guard state.session.allows(audience) else { throw APIError.otherAudience }
        let response = try tokens.response(
            state,
            refreshToken: nil,
            showing: user,
            client: .firstParty(audience: audience),
            at: sessions.clock.now()
        )
        return .json(response.json())
    }

    private func audience(_ query: QueryParameters) throws(APIError) -> String? {
        guard let name = try query[Self.audience] else { return nil }
        let audiences = tokens.accessTokens.audiences
        if let audience = audiences.known(name) { return audience }
        throw .field(TokenAudiences.field, "invalid", "must be one of \(audiences.all.joined(separator: ", "))")
    }

    /// Ends the session of the bearer token, the refresh token or the cookie. An ended session is a success.
    @Sendable private func logOut(_ request: Request, context: AuthRequestContext) async throws -> Response {
        var body = try await request.optionalJSONBody(limit: bodyLimit)
        let refreshToken = body.text("refresh_token")
        try body.finish()
        let clientInfo = context.clientInfo(of: request)
        if let session = try await sessionToEnd(request, refreshToken) {
            try await sessions.end(session.id, reason: .logout, actor: session.user, from: clientInfo)
        }
        var headers: HTTPFields = [:]
        if cookies.isCarried(by: request.headers) { headers[.setCookie] = cookies.clearing }
        return .noContent(headers: headers)
    }

    private func sessionToEnd(_ request: Request, _ refreshToken: RequestText?) async throws -> (
        id: String, user: String
    )? {
        if let refreshToken {
            guard let found = try await tokens.lookUp(refreshToken) else { throw APIError(.refreshTokenInvalid) }
            return (found.state.session.id, found.state.user.id)
        }
        switch BearerToken.read(request.headers) {
        case .none: break
        case .unreadable: throw APIError(.tokenInvalid)
        case .token(let token): return try await sessionToEnd(token)
        }
        guard let value = cookies.value(in: request.headers) else { throw APIError(.tokenMissing) }
        guard let cookie = SessionCookie(value: value) else { return nil }
        do throws(SessionError) {
            let (state, _) = try await sessions.current(cookie: cookie)
            return (state.session.id, state.user.id)
        } catch {
            switch error {
            case .unknown, .ended: return nil
            case .fault: throw error
            }
        }
    }

    /// An expired token may still log out: a page that slept must not need a refresh to do so. Its session's row says
    /// what there is to end.
    private func sessionToEnd(_ accessToken: String) async throws -> (id: String, user: String)? {
        let claims: AccessTokenClaims
        do { claims = try await verifier.genuine(accessToken) } catch let error as VerificationError {
            throw TokenFailures.apiError(error)
        }
        do {
            try await lookup.check(claims)
        } catch let error as TokenRefusal {
            switch error {
            case .ended: return nil
            // It predates a change of the user.
            case .stale: break
            case .clientEnded: throw error
            }
        }
        return claims.sessionID.map { ($0, claims.subject) }
    }

    @Sendable private func list(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let page = try PageRequest(context.query, list: Sessions.listName)
        let sessions = try await sessions.list(ofUser: caller.userID, includeEnded: false, page)
        return .json(sessions.json(list: Sessions.listName) { $1.write(to: &$0, current: $1.id == caller.sessionID) })
    }

    @Sendable private func revoke(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let isThere = try await sessions.revoke(
            try context.id(),
            owner: caller.userID,
            reason: .revokedByUser,
            actor: caller.userID,
            from: context.clientInfo(of: request)
        )
        guard isThere else { throw APIError(.notFound) }
        return .noContent()
    }

    @Sendable private func revokeOthers(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let count = try await sessions.revokeAll(
            ofUser: caller.userID,
            except: caller.sessionID,
            reason: .revokedByUser,
            actor: caller.userID,
            from: context.clientInfo(of: request)
        )
        guard let count else { throw APIError(.notFound) }
        return .json(JSONWriter.object { $0.field("revoked", count) })
    }
}

extension SessionRefusal: DomainError {
    package var answer: any Error { APIError(code) }

    var code: ErrorCode {
        switch self {
        case .revoked: .sessionRevoked
        case .expired: .sessionExpired
        case .userInactive: .userInactive
        }
    }
}

extension SessionError: ClosedError {
    package var answer: any Error {
        switch self {
        case .unknown: APIError(.tokenInvalid)
        case .ended(let refusal): refusal.answer
        case .fault(let error): error
        }
    }
}

extension TokenRefusal: DomainError {
    var answer: any Error {
        switch self {
        case .ended(let refusal): refusal.answer
        case .stale: APIError(.tokenStale)
        case .clientEnded: APIError(.tokenInvalid)
        }
    }
}
