// Whether a token stands, asked of the rows: a client's own token lives with the client, any other with its session.
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
            // SECURITY: what a disabling ended no enabling brings back, here as little as where the event was heard.
            client.tokensValidFrom.map({ claims.issuedAt >= $0.seconds }) ?? true
        else { throw TokenRefusal.clientEnded }
    }
}
