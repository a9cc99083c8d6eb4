// Checks a token by the rows: a client's own token depends on the client, a user's token on its session, and on the
// client too that it was issued to.
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct TokenLookup: RevocationLookup {
    let sessions: SessionLookup
    let clients: Clients

    func check(_ claims: AccessTokenClaims) async throws {
        let isOfClient = claims.sessionID == nil && claims.subject == Client.subjectPrefix + (claims.clientID ?? "")
        if !isOfClient { try await sessions.check(claims) }
        guard let id = claims.clientID, isOfClient || id != AuthConfiguration.firstPartyClient else { return }
        guard let client = try await clients.find(id), !client.isDisabled,
            // SECURITY: neither enabling nor making it again restores a token that has ended, as for followers of the
            // event.
            client.tokensValidFrom.map({ claims.issuedAt >= $0.seconds }) ?? true
        else { throw TokenRefusal.clientEnded }
    }
}
