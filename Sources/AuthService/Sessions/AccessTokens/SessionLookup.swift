// Requests that act on a session read its row. Tokens that others ask about are judged from memory; see
// `FollowedRevocations`.
import ServiceKit
import Storage
import TesseraVerifierHummingbird

/// The session, the user's version and the global version, as the database has them now.
struct SessionLookup: RevocationLookup {
    let sessions: Sessions
    let clock: Clock

    func check(_ claims: AccessTokenClaims) async throws {
        guard let id = claims.sessionID, let state = try await sessions.current(id), state.user.id == claims.subject
        else {
            throw TokenRefusal.ended(.revoked)
        }
        let now = clock.now()
        // The idle end of a session that is refreshed trails by up to `slideAfter`; see Tokens.refresh.
        let idleEnd = state.session.expiresAt + sessions.lifetime.slideAfter
        if let refusal = state.refusal(at: now, idleEnd: idleEnd) { throw TokenRefusal.ended(refusal) }
        guard let version = claims.userVersion, version >= state.session.requiredVersion else {
            throw TokenRefusal.stale
        }
    }
}
