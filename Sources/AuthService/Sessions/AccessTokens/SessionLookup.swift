// Requests that change a session read its row. `InProcessRevocations` judges the tokens that others ask about.
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct SessionLookup: RevocationLookup {
    let sessions: Sessions
    let clock: Clock

    func check(_ claims: AccessTokenClaims) async throws {
        guard let id = claims.sessionID, let state = try await sessions.current(id), state.user.id == claims.subject
        else {
            throw TokenRefusal.ended(try await sessions.refusal(withoutSessionOf: claims.subject))
        }
        let now = clock.now()
        // The idle end of a refreshed session lags by up to `extensionInterval`; see RefreshTokens.refresh.
        let idleEnd = state.session.expiresAt + sessions.lifetime.extensionInterval
        if let refusal = state.refusal(at: now, idleEnd: idleEnd) { throw TokenRefusal.ended(refusal) }
        guard let version = claims.userVersion, version >= state.session.requiredVersion else {
            throw TokenRefusal.stale
        }
    }
}
