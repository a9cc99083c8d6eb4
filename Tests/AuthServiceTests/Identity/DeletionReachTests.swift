// A deleted user's tokens at a service that follows `user.tokens_revoked` alone, such as one written before deletions
// existed.
import AuthService
import HTTPTypes
import Storage
import Synchronization
import TesseraVerifierHummingbird
import TestSupport
import Testing

@Suite("The reach of a deletion")
struct DeletionReachTests {
    /// Knows only the pages of `user.tokens_revoked`.
    private final class UserTokensOnly: RevocationSource {
        private let replica = Mutex(RevocationReplica(lifetime: 900, now: .now))

        func take(_ page: AuthNode.Answer, at now: Int64) throws {
            for event in try #require(page.json["data"]?.array) {
                let kind = try #require(event["kind"]?.string)
                try #require(kind == "user.tokens_revoked", "nothing else was asked for")
                let data = Array(try #require(event["data"]?.raw).utf8)
                let revocation = try #require(try Revocation(kind: kind, data: data))
                replica.withLock { $0.take(revocation, position: nil, now: now) }
            }
        }

        func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
            if let refusal = replica.withLock({ $0.revocations.refusal(of: claims, keyID: keyID) }) { throw refusal }
        }
    }

    private struct Keys: KeySource {
        let keys: KeySet

        func snapshot() -> KeySet { keys }
        func refresh(afterUnknownKeyID: String) async throws {}
    }

    @Test(
        "deleting a user revokes their tokens for a verifier that follows user.tokens_revoked alone, the newest too",
        arguments: TestEngine.allCases
    )
    func followed(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let (leaving, staying) = (try await node.signUp(), try await node.signUp("eve@example.com"))
            // An earlier event requires the version of the token below, so only a later version refuses it.
            let role = #"{"role":"premium"}"#
            let path = "/v1/admin/users/\(leaving.userID)"
            #expect(try await node.send(.patch, path, role, token: admin.access).status == 200)
            let newest = try await node.logIn()
            let revocations = UserTokensOnly()
            let jwks = try await node.send(.get, "/.well-known/jwks.json").text
            let clock = node.clock
            let verifier = TokenVerifier(
                requirements: TokenRequirements(
                    issuer: "https://auth.test",
                    audience: "chat",
                    clock: { clock.now.seconds }
                ),
                keys: Keys(keys: try KeySet(jwks: Array(jwks.utf8))),
                revocations: revocations
            )
            func refusal(_ token: String) -> VerificationError.Code? {
                do throws(VerificationError) {
                    _ = try verifier.verify(token)
                    return nil
                } catch {
                    return error.code
                }
            }
            let query = "?kinds=user.tokens_revoked&limit=1000"
            try revocations.take(try await node.feed(query), at: node.clock.now.seconds)
            #expect(refusal(newest.access) == nil)
            #expect(refusal(leaving.access) == .stale, "older than the role")

            #expect(try await node.send(.delete, path, token: admin.access).status == 204)
            try revocations.take(try await node.feed(query), at: node.clock.now.seconds)
            #expect(refusal(newest.access) == .stale)
            #expect(refusal(leaving.access) == .stale)
            #expect(refusal(staying.access) == nil)
            #expect(refusal(admin.access) == nil)
        }
    }
}
