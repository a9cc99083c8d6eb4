// `POST /oauth2/token` (RFC 6749 §3.2).
//
// `client_credentials` (§4.4) gives a service a token for its allowed scopes. `refresh_token` (§6) does the same as
// `/v1/token/refresh`. Neither starts a user's session. `audience` (RFC 8693 §2.1) narrows the token to one service.
import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct OAuthTokenRoutes: Sendable {
    let authentication: ClientAuthentication
    let accessTokens: AccessTokens
    let refreshEndpoint: RefreshEndpoint
    let clock: Clock

    static let grantTypes = ["client_credentials", "refresh_token"]

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.post("token", query: .ignored, use: token)
    }

    @Sendable private func token(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let form = try await request.formBody(limit: bodyLimit)
        let clientInfo = context.clientInfo(of: request)
        switch form["grant_type"] {
        case .some("client_credentials"):
            // Before the row is read: a token is never dated after an end of tokens that its row did not yet show.
            let now = clock.now()
            let client = try await authentication.requiredClient(of: request, form, from: clientInfo)
            return try serviceToken(for: client, asking: form["scope"], audience: form["audience"], at: now)
        case .some("refresh_token"):
            guard let token = form["refresh_token"] else {
                throw OAuthError(.invalidRequest, "refresh_token is missing")
            }
            let client = try await authentication.client(of: request, form, from: clientInfo)
            // §6: no scope beyond the granted ones, and a user's token has none.
            guard form["scope"] == nil else { throw OAuthError(.invalidScope) }
            return try await refreshed(
                token,
                retryKey: try Self.retryKey(form),
                try tokenClient(client, form["audience"]),
                from: clientInfo
            )
        case nil: throw OAuthError(.invalidRequest, "grant_type is missing")
        default: throw OAuthError(.unsupportedGrantType)
        }
    }

    private func tokenClient(_ client: Client?, _ asked: RequestText?) throws(OAuthError) -> TokenClient {
        var audience: String?
        if let asked {
            guard let known = accessTokens.audiences.known(asked) else { throw OAuthError(.invalidTarget) }
            audience = known
        }
        guard let client else { return .firstParty(audience: audience) }
        return TokenClient(id: client.id, tokensValidFrom: client.tokensValidFrom, audience: audience)
    }

    private func serviceToken(
        for client: Client,
        asking: RequestText?,
        audience: RequestText?,
        at now: Instant
    ) throws -> Response {
        var audiences = client.audiences
        if let audience {
            audiences = audiences.filter { RequestText($0) == audience }
            guard !audiences.isEmpty else { throw OAuthError(.invalidTarget) }
        }
        var scopes = client.scopes
        if let asking {
            let asked = Set(asking.pieces(between: " ", omittingEmpty: false))
            // §3.3: an empty or malformed list, or a scope that the client does not have.
            scopes = client.scopes.filter { asked.contains(RequestText($0)) }
            guard scopes.count == asked.count else { throw OAuthError(.invalidScope) }
        }
        let token = try accessTokens.issue(
            forClient: client.id,
            subject: client.subject,
            audiences: audiences,
            scopes: scopes,
            validFrom: client.tokensValidFrom,
            at: now
        )
        return .oauth(
            JSONWriter.object { writer in
                writer.field("access_token", token.token)
                writer.field("token_type", "Bearer")
                writer.field("expires_in", token.expiresIn)
                writer.field("scope", scopes.joined(separator: " "))
            }
        )
    }

    private static func retryKey(_ form: FormBody) throws(OAuthError) -> RetryKey? {
        guard let text = form[RetryKey.name] else { return nil }
        guard let key = RetryKey(text) else {
            throw OAuthError(.invalidRequest, "retry_key must have 16 to 128 letters, digits and any of -._~")
        }
        return key
    }

    private func refreshed(
        _ token: RequestText,
        retryKey: RetryKey?,
        _ client: TokenClient,
        from clientInfo: ClientInfo
    ) async throws -> Response {
        let response: TokenResponse
        do throws(RefreshError) {
            response = try await refreshEndpoint(token, retryKey: retryKey, client: client, from: clientInfo)
        } catch {
            // §5.2: "invalid, expired, revoked" are one error; the description distinguishes them.
            switch error {
            case .invalid: throw OAuthError(.invalidGrant, ErrorCode.refreshTokenInvalid.rawValue)
            case .reused: throw OAuthError(.invalidGrant, ErrorCode.refreshTokenReused.rawValue)
            case .ended(let refusal): throw OAuthError(.invalidGrant, refusal.code.rawValue)
            case .otherAudience: throw OAuthError(.invalidTarget, "the session was opened for another audience")
            case .rateLimited, .undecided, .fault: throw error
            }
        }
        return .oauth(
            JSONWriter.object { writer in
                writer.field("access_token", response.accessToken.token)
                writer.field("token_type", "Bearer")
                writer.field("expires_in", response.accessToken.expiresIn)
                if let refreshToken = response.refreshToken { writer.field("refresh_token", refreshToken) }
            }
        )
    }
}
