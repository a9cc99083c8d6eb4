// A whole service that trusts Tessera: it fetches the keys, follows the revocations, and makes no further request for a
// token.
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle
import TesseraVerifierHummingbird

struct Context: AuthenticatedRequestContext {
    var coreContext: CoreRequestContextStorage
    var accessToken: AccessTokenClaims?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
    }
}

@main
struct WhoAmI {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        let auth = environment["TESSERA_AUTH_URL"] ?? "http://localhost:8080"
        let logger = Logger(label: "who-am-i")

        let keys = RemoteKeySource(url: "\(auth)/.well-known/jwks.json", logger: logger)
        let revocations = RevocationFeed(
            url: "\(auth)/v1/events",
            credentials: ClientCredentials(
                tokenEndpoint: "\(auth)/oauth2/token",
                id: environment["CLIENT_ID"] ?? "who-am-i",
                secret: environment["CLIENT_SECRET"] ?? ""
            ),
            policy: policy(environment["REFUSE_AFTER"]),
            keys: keys,
            logger: logger
        )
        let verifier = TokenVerifier(
            requirements: TokenRequirements(
                issuer: environment["TESSERA_ISSUER"] ?? auth,
                audience: environment["AUDIENCE"] ?? "tessera"
            ),
            keys: keys,
            revocations: revocations
        )

        let application = Application(
            router: router(verifier, keys, revocations),
            configuration: .init(address: .hostname("127.0.0.1", port: Int(environment["PORT"] ?? "") ?? 8082)),
            logger: logger
        )
        // The first is shut down last: requests in flight still find what they are judged by.
        let group = ServiceGroup(
            services: [keys, Following(feed: revocations), application],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        try await group.run()
    }

    /// While Tessera is unreachable, tokens are valid until they expire (`serve`), or are refused after so many
    /// seconds.
    static func policy(_ text: String?) -> StalePolicy {
        text == "serve" ? .serve : .refuse(after: .seconds(Int(text ?? "") ?? 60))
    }

    static func router(
        _ verifier: TokenVerifier,
        _ keys: RemoteKeySource,
        _ revocations: RevocationFeed
    ) -> Router<Context> {
        let router = Router(context: Context.self)
        // Not ready before there are keys, and it is known what was revoked while this process was not there.
        router.get("readyz") { _, _ -> HTTPResponse.Status in
            guard (try? await keys.requireKeys()) != nil else { return .serviceUnavailable }
            return revocations.isReady ? .ok : .serviceUnavailable
        }

        let users = router.group().add(middleware: TokenVerifierMiddleware(verifier: verifier))
        users.get("whoami") { _, context in
            let claims = try context.claims
            return "\(claims.subject) in \(claims.sessionID ?? "no session") as \(claims.role ?? "nobody")\n"
        }
        users.group("admin")
            .add(middleware: ClaimRequirementMiddleware(.role("admin"), .maxAge(.seconds(3600))))
            .get { _, _ in "You signed in within the hour, and you are an admin.\n" }
        return router
    }
}

extension Context {
    /// The claims of the request, behind the middleware that demands a token.
    var claims: AccessTokenClaims {
        get throws {
            guard let accessToken else { throw HTTPError(.unauthorized) }
            return accessToken
        }
    }
}

/// Follows the revocations for as long as the service runs.
struct Following: Service {
    let feed: RevocationFeed

    func run() async throws {
        await cancelWhenGracefulShutdown { await feed.run() }
    }
}
