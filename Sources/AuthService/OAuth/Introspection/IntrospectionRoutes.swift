// `POST /oauth2/introspect` (RFC 7662), for services that do not verify tokens themselves.
//
// The caller is a client with the scope `introspect`. Tokens for other audiences are inactive, like forged, expired and
// revoked ones (§2.2: the answer says no more). Only clients of auth's own audience may introspect a refresh token; its
// `token_type` prevents its use as an access token.
import Hummingbird
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct IntrospectionRoutes: Sendable {
    let authentication: ClientAuthentication
    let introspector: TokenIntrospector
    let tokens: RefreshTokens
    let issuer: String

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.post("introspect", query: .ignored, use: introspect)
    }

    @Sendable private func introspect(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let form = try await request.formBody(limit: bodyLimit)
        let caller: Client
        if let recent = authentication.recentClient(of: request, form) {
            caller = recent
        } else {
            caller = try await authentication.requiredClient(of: request, form, from: context.clientInfo(of: request))
        }
        guard caller.scopes.contains(ClientScope.introspect) else {
            throw OAuthError(.insufficientScope, "the client needs the scope introspect")
        }
        guard let token = form["token"] else { throw OAuthError(.invalidRequest, "token is missing") }
        // `token_type_hint` would save a search (§2.1), but the token's form suffices.
        if RefreshToken.isOne(token) { return try await refreshToken(token, caller) }
        do {
            guard let claims = try await introspector.claims(of: token.verbatim, for: caller.audiences) else {
                return .inactive
            }
            return active(claims)
        } catch let error as VerificationError {
            throw TokenFailures.apiError(error)
        }
    }

    private func active(_ claims: AccessTokenClaims) -> Response {
        .oauth(
            JSONWriter.object { writer in
                writer.field("active", true)
                writer.field("token_type", "Bearer")
                writer.field("iss", claims.issuer)
                writer.field("sub", claims.subject)
                writer.field("aud", claims.audience)
                writer.field("exp", claims.expiresAt)
                writer.field("iat", claims.issuedAt)
                writer.field("jti", claims.tokenID)
                writer.field("client_id", claims.clientID)
                writer.field("scope", claims.scope.joined(separator: " "))
                if let session = claims.sessionID { writer.field("sid", session) }
                if let role = claims.role { writer.field("role", role) }
                if let kind = claims.kind { writer.field("kind", kind) }
                if let verified = claims.emailVerified { writer.field("email_verified", verified) }
                if let time = claims.authenticatedAt { writer.field("auth_time", time) }
                if !claims.authenticationMethods.isEmpty { writer.field("amr", claims.authenticationMethods) }
            }
        )
    }

    private func refreshToken(_ token: RequestText, _ caller: Client) async throws -> Response {
        guard caller.audiences.contains(AuthConfiguration.ownAudience),
            let found = try await tokens.lookUp(token), found.isUsable
        else { return .inactive }
        return .oauth(
            JSONWriter.object { writer in
                writer.field("active", true)
                writer.field("token_type", "refresh_token")
                writer.field("iss", issuer)
                writer.field("sub", found.state.user.id)
                writer.field("aud", AuthConfiguration.ownAudience)
                writer.field("exp", found.end.seconds)
                writer.field("iat", found.state.session.createdAt.seconds)
                writer.field("client_id", found.client)
                writer.field("sid", found.state.session.id)
            }
        )
    }
}

extension Response {
    /// §2.2: nothing else about an inactive token.
    fileprivate static var inactive: Response { .oauth(JSONWriter.object { $0.field("active", false) }) }
}
