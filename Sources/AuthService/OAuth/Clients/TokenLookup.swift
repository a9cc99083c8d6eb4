// Checks a token by the rows: a client's own token depends on the client, any other on its session.
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct TokenLookup: RevocationLookup {
    let sessions: SessionLookup
    let clients: Clients

    func check(_ claims: AccessTokenClaims) async throws {
        guard claims.sessionID == nil, let id = claims.clientID, claims.subject == Client.subjectPrefix + id else {
            return try await sessions.check(claims)
        }
        guard let client = try await clients.find(id), !client.isDisabled,
            // SECURITY: enabling restores no token that a disabling ended, as for followers of the event.
            client.tokensValidFrom.map({ claims.issuedAt >= $0.seconds }) ?? true
        else { throw TokenRefusal.clientEnded }
    }
}
