import Hummingbird
import ServiceKit

extension AuthService {
    func mountOAuth(on oauth: RouteGroup<AuthRequestContext>, _ refreshEndpoint: RefreshEndpoint) {
        let authentication = ClientAuthentication(
            clients: clients,
            throttle: features.throttle,
            assertions: ClientAssertions(
                clients: clients,
                issuer: RequestText(configuration.issuer),
                tokenEndpoint: RequestText("\(configuration.publicURL)/oauth2/token")
            )
        )
        OAuthTokenRoutes(
            authentication: authentication,
            accessTokens: features.accessTokens,
            refreshEndpoint: refreshEndpoint,
            clock: clock
        ).mount(on: oauth)
        var introspecting = authentication
        introspecting.takesRecent = true
        IntrospectionRoutes(
            authentication: introspecting,
            introspector: trust.introspector,
            tokens: features.tokens,
            issuer: configuration.issuer
        ).mount(on: oauth)
        RevocationRoutes(
            authentication: authentication,
            verifier: trust.verifier,
            sessions: sessions,
            tokens: features.tokens
        ).mount(on: oauth)
    }
}
