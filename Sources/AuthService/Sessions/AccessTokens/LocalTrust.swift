// How auth trusts its own tokens: through the same verifier as everybody, with sources in the process. It never calls
// itself over HTTP. Requests that act on a session read its row; tokens that others ask about are judged from memory, see
// `FollowedRevocations`.
import OpenSSLCrypto
import ServiceKit
import Storage
import Synchronization
import TesseraVerifierHummingbird

/// The keys of this node.
final class LocalKeySource: KeySource {
    private let keys: SigningKeys
    private let clock: Clock
    private struct State {
        var lastReload: Instant?
        /// The look under way, which all callers share.
        var reload: Task<Void, any Error>?
    }

    private let state = Mutex(State())

    init(keys: SigningKeys, clock: Clock) {
        self.keys = keys
        self.clock = clock
    }

    func snapshot() -> KeySet { keys.verification }

    /// SECURITY: a key id is text that anyone can send; made-up ones cost one read in five seconds, not one each. A look
    /// that failed tells nobody that there is no such key: whoever waited for it cannot tell.
    func refresh(afterUnknownKeyID: String) async throws {
        let now = clock.now()
        let reload = state.withLock { state -> Task<Void, any Error>? in
            if let running = state.reload { return running }
            if let last = state.lastReload, now < last + .seconds(5) { return nil }
            let task = Task { [keys] in try await keys.reload() }
            state.reload = task
            return task
        }
        guard let reload else { return }
        let result = await reload.result
        state.withLock { state in
            guard state.reload == reload else { return }
            state.reload = nil
            if case .success = result { state.lastReload = now }
        }
        try result.get()
    }
}

/// The session, the user's version and the global version, or the client, as the database has them now.
struct LocalRevocationLookup: RevocationLookup {
    let sessions: Sessions
    let clients: Clients
    let clock: Clock

    func check(_ claims: AccessTokenClaims) async throws {
        if claims.sessionID == nil, let id = claims.clientID, claims.subject == Client.subjectPrefix + id {
            guard let client = try await clients.find(id), !client.isDisabled,
                // SECURITY: what a disabling ended no enabling brings back, here as little as where the event was heard.
                client.tokensValidFrom.map({ claims.issuedAt >= $0.seconds }) ?? true
            else { throw APIError(.tokenInvalid) }
            return
        }
        guard let id = claims.sessionID, let state = try await sessions.current(id), state.user.id == claims.subject
        else {
            throw APIError(.sessionRevoked)
        }
        let now = clock.now()
        // The idle end of a session that is refreshed trails by up to `slideAfter`; see Tokens.refresh.
        let idleEnd = state.session.expiresAt + sessions.lifetime.slideAfter
        if let refusal = state.refusal(at: now, idleEnd: idleEnd) { throw APIError(refusal) }
        guard let version = claims.userVersion, version >= state.session.requiredVersion else {
            throw APIError(.tokenStale)
        }
    }
}
