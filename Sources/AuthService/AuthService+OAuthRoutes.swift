// The routes of clients and of other services.
import Hummingbird
import ServiceKit
import TesseraVerifierHummingbird

extension AuthService {
    var refreshEndpoint: RefreshEndpoint {
        RefreshEndpoint(tokens: features.tokens, throttle: features.throttle, counters: features.counters)
    }

    func mountOAuth(on oauth: RouteGroup<AuthRequestContext>) {
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

    /// For services with tokens of their own.
    func mountServices(on router: ServiceRouter<AuthRequestContext>) {
        let trusted = router.group("v1")
            .add(middleware: RequestLimitMiddleware(counters: features.counters, account: trust.signedAccount.account))
            .add(
                middleware: TokenVerifierMiddleware(
                    verifier: trust.verifier,
                    requireUser: false,
                    failure: { TokenFailures.apiError($0) }
                )
            )
            .add(middleware: ScopeMiddleware(scope: EventRoutes.scope))
        EventRoutes(log: features.eventLog, feed: features.eventFeed, retention: configuration.eventRetention)
            .mount(on: trusted)
    }
}
