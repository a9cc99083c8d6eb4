// `POST /oauth2/revoke` (RFC 7009): the logout of OAuth libraries.
//
// A refresh token or an access token ends its session. 200 means that the session has ended or that nothing could be
// revoked (§2.2: "invalid tokens do not cause an error"). A storage fault is 503. A service's own token cannot be
// revoked: `unsupported_token_type`. The holder of a first-party token may end its session, as by `/v1/logout`;
// registered clients authenticate and end their own.
import HTTPTypes
import Hummingbird
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct RevocationRoutes: Sendable {
    let authentication: ClientAuthentication
    let verifier: TokenVerifier
    let sessions: Sessions
    let tokens: RefreshTokens

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.post("revoke", query: .ignored, use: revoke)
    }

    private enum Finding {
        /// Unknown, forged, expired, or of an ended session.
        case nothing
        case session(id: String, user: String, client: String)
        /// A valid token that lives until it expires.
        case irrevocable(client: String?)
    }

    @Sendable private func revoke(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let form = try await request.formBody(limit: bodyLimit)
        let clientInfo = context.clientInfo(of: request)
        let caller =
            try await authentication.client(of: request, form, from: clientInfo)?.id
            ?? AuthConfiguration.firstPartyClient
        guard let token = form["token"] else { throw OAuthError(.invalidRequest, "token is missing") }
        let finding =
            RefreshToken.isOne(token) ? try await refreshToken(token) : try await accessToken(token.verbatim)
        switch finding {
        case .nothing: break
        case .session(let id, let user, let client):
            // §2.1: a token that was issued to another client: "the request is refused and the client is informed".
            guard client == caller else { throw OAuthError(.invalidGrant, "the token was issued to another client") }
            try await sessions.end(id, reason: .logout, actor: user, from: clientInfo)
        case .irrevocable(let client):
            guard client == caller else { throw OAuthError(.invalidGrant, "the token was issued to another client") }
            throw OAuthError(.unsupportedTokenType, "a service token lives until it expires")
        }
        return Response(status: .ok, headers: [.cacheControl: "no-store", .pragma: "no-cache"])
    }

    private func refreshToken(_ token: RequestText) async throws -> Finding {
        guard let found = try await tokens.lookUp(token) else { return .nothing }
        return .session(id: found.state.session.id, user: found.state.user.id, client: found.client)
    }

    private func accessToken(_ token: String) async throws -> Finding {
        do {
            return finding(try await verifier.verify(token))
        } catch let error as TokenRefusal {
            switch error {
            // Too old for requests, but it may still log out.
            case .stale: return finding(try genuine(token))
            case .ended, .clientEnded: return .nothing
            }
        } catch let error as VerificationError {
            switch error.code {
            case .keysUnavailable: throw TokenFailures.apiError(error)
            // As at `/v1/logout`: it may still end its session.
            case .expired: return try await expired(token)
            // Genuine, for other services: it cannot be revoked, so this is no success.
            case .wrongAudience: throw OAuthError(.unsupportedTokenType, "a service token lives until it expires")
            default: return .nothing
            }
        }
    }

    /// For a genuine, unexpired token, whatever the state of its session.
    private func genuine(_ token: String) throws(VerificationError) -> AccessTokenClaims {
        try verifier.verify(token)
    }

    private func expired(_ token: String) async throws -> Finding {
        let claims = try await verifier.genuine(token)
        return claims.isUser ? finding(claims) : .nothing
    }

    private func finding(_ claims: AccessTokenClaims) -> Finding {
        guard let session = claims.sessionID, let client = claims.clientID else {
            return .irrevocable(client: claims.clientID)
        }
        return .session(id: session, user: claims.subject, client: client)
    }
}
