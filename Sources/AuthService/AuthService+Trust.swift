// How a node judges tokens (decision 0015): a change of a session reads its row. Tokens that gateways and services ask
// about are judged from memory.
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct AuthTrust: Sendable {
    let verifier: TokenVerifier
    let signedAccount: SignedAccount
    /// What `verifier` asks of a genuine token.
    let rows: any RevocationLookup
    /// Judges tokens that were sent to other services.
    let introspector: TokenIntrospector
    let revocations: InProcessRevocations
    let following: RevocationFollowing

    init(
        _ features: AuthFeatures,
        revocations: InProcessRevocations,
        configuration: AuthConfiguration,
        clock: Clock
    ) {
        let clients = features.clients
        let keys = LocalKeySource(keys: features.keys, clock: clock)
        let lookup = TokenLookup(sessions: SessionLookup(sessions: features.sessions, clock: clock), clients: clients)
        var requirements = TokenRequirements(
            issuer: configuration.issuer,
            audience: AuthConfiguration.ownAudience,
            clock: { clock.now().seconds }
        )
        verifier = TokenVerifier(requirements: requirements, keys: keys, lookup: lookup)
        signedAccount = SignedAccount(verifier: verifier)
        requirements.demandsAudience = false
        introspector = TokenIntrospector(
            TokenVerifier(requirements: requirements, keys: keys),
            revocations: revocations,
            rows: lookup
        )
        rows = lookup
        self.revocations = revocations
        following = RevocationFollowing(
            revocations: revocations,
            log: features.eventLog,
            keys: features.keys,
            clientEnded: { clients.forgetRecent($0) }
        )
    }
}
