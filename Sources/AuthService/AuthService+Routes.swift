import Hummingbird
package import ServiceKit
import TesseraVerifierHummingbird

extension AuthService {
    package func buildRouter() -> ServiceRouter<AuthRequestContext> {
        // Gateways append the path that they ask about.
        let router = ServiceRouter<AuthRequestContext>(opaque: ["/v1/validate/"])
        let csrf = CSRFMiddleware(
            cookies: features.cookies,
            publicURL: configuration.publicURL,
            corsOrigins: configuration.corsOrigins,
            loopback: configuration.allowsLoopbackOrigins
        )
        router.add(middleware: RequestIDMiddleware(random: random))
        router.add(middleware: RequestLogMiddleware(service: "auth", quietAgent: configuration.quietAgent))
        router.add(
            middleware: CORSMiddleware(
                origins: AllowedOrigins(configuration.corsOrigins, loopback: configuration.allowsLoopbackOrigins),
                publicURL: configuration.publicURL,
                foreign: ["/v1/validate"]
            )
        )
        router.add(middleware: ClientAddressMiddleware(trustedProxies: configuration.trustedProxies))
        router.add(middleware: requestScope)
        router.add(middleware: ErrorMiddleware(routes: router.table))
        router.add(middleware: RequestRulesMiddleware())
        router.add(middleware: csrf)
        mountPublic(on: router.group())
        mountUsers(on: router, csrf)
        mountOAuth(on: router.group("oauth2").add(middleware: OAuthErrorMiddleware()))
        mountServices(on: router)
        return router
    }

    private func mountPublic(on root: RouteGroup<AuthRequestContext>) {
        HealthRoutes(
            service: "auth",
            contract: contract,
            isReady: { [isReady, trust, keys, ring] in
                try await isReady()
                try keys.requireSigner()
                try ring.requirePrimary()
                // After a restart the node must know the revocations before it is ready.
                if trust.revocations.isReadingFirst { throw APIError.retry(.revocationsUnavailable, afterSeconds: 1) }
            }
        ).mount(on: root)
        KeyRoutes(keys: keys).mount(on: root)
        DiscoveryRoutes(
            issuer: configuration.issuer,
            publicURL: configuration.publicURL,
            algorithm: configuration.signingAlgorithm
        ).mount(on: root)
    }

    /// For users, admins and gateways.
    private func mountUsers(
        on router: ServiceRouter<AuthRequestContext>,
        _ csrf: CSRFMiddleware
    ) {
        let (cookies, verifier) = (features.cookies, trust.verifier)
        let passwordRoutes = PasswordRoutes(passwords: passwords, signIn: features.signIn)
        let sessionRoutes = SessionRoutes(
            sessions: sessions,
            tokens: features.tokens,
            verifier: verifier,
            lookup: trust.rows,
            cookies: cookies,
            counters: features.counters
        )
        let stateRoutes = UserStateRoutes(
            users: users,
            states: userStates,
            cookies: cookies,
            deviceCookies: features.signIn.deviceCookies
        )

        let open = router.group("v1")
        passwordRoutes.mount(on: open)
        TokenRoutes(refreshEndpoint: refreshEndpoint).mount(on: open)
        sessionRoutes.mount(on: open)
        ValidateRoutes(
            introspector: trust.introspector,
            sessions: sessions,
            cookies: cookies,
            csrf: csrf,
            counters: features.counters
        ).mount(on: open)

        let authenticated = router.group("v1")
            .add(middleware: RequestLimitMiddleware(counters: features.counters, account: trust.signedAccount.account))
            .add(
                middleware: TokenVerifierMiddleware(
                    verifier: verifier,
                    mode: .optional,
                    failure: { TokenFailures.apiError($0) }
                )
            )
            .add(middleware: CallerMiddleware(sessions: sessions, cookies: cookies, counters: features.counters))
        passwordRoutes.mountAuthenticated(on: authenticated)
        sessionRoutes.mountAuthenticated(on: authenticated)
        MeRoutes(users: users).mountAuthenticated(on: authenticated)
        stateRoutes.mountAuthenticated(on: authenticated)

        let admin = authenticated.group("admin").add(middleware: RoleMiddleware(role: .admin))
            .add(
                middleware: IdempotencyMiddleware(keys: features.idempotency) { [users] id, isCreated in
                    try await users.find(id: id).map { .user($0, created: isCreated) }
                }
            )
        AdminUserRoutes(users: users).mount(on: admin)
        passwordRoutes.mountAdmin(on: admin)
        stateRoutes.mountAdmin(on: admin)
        AdminSessionRoutes(users: users, sessions: sessions).mount(on: admin)
        AdminKeyRoutes(keys: keys).mount(on: admin)
        AdminClientRoutes(clients: clients).mount(on: admin)
        CleanupRoutes(cleanup: cleanup).mount(on: admin)
    }
}
