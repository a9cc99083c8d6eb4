import OpenSSLCrypto
import Synchronization
import Testing

@testable import TesseraVerifier

@Suite("Remembering verified tokens")
struct VerifiedTokenCacheTests {
    private final class World: KeySource {
        private struct State {
            var keys: [String: VerificationKey] = [:]
            var now = TestIssuer.now
        }

        private let state = Mutex(State())

        init(_ issuers: TestIssuer...) {
            state.withLock { state in for issuer in issuers { state.keys[issuer.kid] = issuer.key.publicKey } }
        }

        func snapshot() -> KeySet { KeySet(state.withLock(\.keys)) }
        func refresh(afterUnknownKeyID keyID: String) async throws {}

        func setKey(_ key: VerificationKey?, for kid: String) { state.withLock { $0.keys[kid] = key } }
        func setTime(_ now: Int64) { state.withLock { $0.now = now } }

        func verifier(cachedTokens: Int = 100) -> TokenVerifier {
            let requirements = TokenRequirements(
                issuer: TestIssuer.name,
                audience: TestIssuer.audience,
                clock: { self.state.withLock(\.now) }
            )
            return TokenVerifier(requirements: requirements, keys: self, cachedTokens: cachedTokens)
        }
    }

    @Test("a good token is remembered once and says the same again")
    func remembered() throws {
        let issuer = try TestIssuer()
        let verifier = World(issuer).verifier()
        let token = try issuer.token()
        let first = try verifier.verify(token)
        for _ in 0..<10 {
            let again = try verifier.verify(token)
            #expect(again == first)
        }
        #expect(verifier.cachedTokenCount == 1)
    }

    @Test("the signature is looked at once: a key that cannot verify any more is not asked about a remembered token")
    func signatureOnce() throws {
        let issuer = try TestIssuer()
        let token = VerifiedToken(
            claims: try World(issuer).verifier().verify(try issuer.token()),
            notBefore: nil,
            keyID: issuer.kid,
            key: issuer.key.publicKey
        )
        // A token without a signature, put into the cache: only a cache hit accepts it.
        let verifier = World(issuer).verifier()
        #expect(refusal(verifier, "no token at all") == .malformed)
        verifier.remember(token, as: "no token at all")
        #expect(refusal(verifier, "no token at all") == nil)
    }

    @Test("a refused token is not remembered")
    func refused() throws {
        let issuer = try TestIssuer()
        let verifier = World(issuer).verifier()
        let tokens = [
            try issuer.token(["exp": "1"]), try issuer.token(["aud": "\"other\""]), try TestIssuer().token(), "x.y.z",
        ]
        for token in tokens { #expect(refusal(verifier, token) != nil) }
        #expect(verifier.cachedTokenCount == 0)
    }

    @Test("a remembered token ends at exp to the second")
    func expiry() throws {
        let issuer = try TestIssuer()
        let world = World(issuer)
        let verifier = world.verifier()
        let token = try issuer.token()
        #expect(refusal(verifier, token) == nil)
        world.setTime(TestIssuer.now + 599)
        #expect(refusal(verifier, token) == nil)
        world.setTime(TestIssuer.now + 600)
        #expect(refusal(verifier, token) == .expired)
        #expect(verifier.cachedTokenCount == 0)
    }

    @Test("a remembered token is judged by the clock at each lookup, also by one that was set back")
    func clockSetBack() throws {
        let issuer = try TestIssuer()
        let world = World(issuer)
        let verifier = world.verifier()
        let fresh = try issuer.token()
        let notBefore = try issuer.token(["nbf": "\(TestIssuer.now - 100)", "iat": "\(TestIssuer.now - 500)"])
        for token in [fresh, notBefore] { #expect(refusal(verifier, token) == nil) }
        world.setTime(TestIssuer.now - 131)
        #expect(refusal(verifier, fresh) == .issuedInFuture)
        #expect(refusal(verifier, notBefore) == .notYetValid)
        world.setTime(TestIssuer.now)
        for token in [fresh, notBefore] { #expect(refusal(verifier, token) == nil) }
    }

    @Test("a remembered token dies with its key, and with a key that takes the other's id")
    func retiredKey() throws {
        let issuer = try TestIssuer()
        let other = try TestIssuer()
        let world = World(issuer, other)
        let verifier = world.verifier()
        let token = try issuer.token()
        #expect(refusal(verifier, token) == nil)
        world.setKey(nil, for: issuer.kid)
        #expect(refusal(verifier, token) == .unknownKey)
        #expect(verifier.cachedTokenCount == 0)

        world.setKey(issuer.key.publicKey, for: issuer.kid)
        #expect(refusal(verifier, token) == nil)
        world.setKey(other.key.publicKey, for: issuer.kid)
        #expect(refusal(verifier, token) == .invalidSignature)
        #expect(verifier.cachedTokenCount == 0)
    }

    @Test("the same key, read from the issuer again, keeps its tokens")
    func sameKeyAgain() throws {
        let issuer = try TestIssuer()
        let world = World()
        let verifier = world.verifier()
        let token = try issuer.token()
        for _ in 0..<2 {
            world.setKey(try VerificationKey(jwk: issuer.jwk), for: issuer.kid)
            #expect(refusal(verifier, token) == nil)
        }
        #expect(verifier.cachedTokenCount == 1)
    }

    @Test("there are never more tokens than allowed, and all of them are good", arguments: [1, 7, 64])
    func bounded(_ limit: Int) throws {
        let issuer = try TestIssuer(.eddsa)
        let verifier = World(issuer).verifier(cachedTokens: limit)
        let tokens = try (0..<(limit * 4)).map { try issuer.token(["jti": "\"\($0)\""]) }
        for _ in 0..<2 {
            for (index, token) in tokens.enumerated() {
                let claims = try verifier.verify(token)
                #expect(claims.tokenID == "\(index)")
                #expect(verifier.cachedTokenCount <= limit)
            }
        }
        #expect(verifier.cachedTokenCount > 0)
    }

    @Test("without a cache every token is verified and none remembered")
    func off() throws {
        let issuer = try TestIssuer()
        let verifier = World(issuer).verifier(cachedTokens: 0)
        let token = try issuer.token()
        for _ in 0..<2 { #expect(refusal(verifier, token) == nil) }
        #expect(verifier.cachedTokenCount == 0)
    }

    @Test("what is asked for stays, what is not makes room, and the expired go first")
    func eviction() throws {
        let issuer = try TestIssuer()
        let claims = try World(issuer).verifier().verify(try issuer.token())
        func entry(_ expiresAt: Int64) -> VerifiedToken {
            let claims = AccessTokenClaims(
                issuer: claims.issuer,
                subject: claims.subject,
                audience: claims.audience,
                expiresAt: expiresAt,
                issuedAt: 0,
                tokenID: "\(expiresAt)"
            )
            return VerifiedToken(claims: claims, notBefore: nil, keyID: issuer.kid, key: issuer.key.publicKey)
        }
        // One shard's worth, so that each shard is full many times over.
        let cache = VerifiedTokenCache(limit: 64)
        let popular = SHA256.digest(of: "popular")
        cache.keep(entry(1000), for: popular, now: 0)
        for number in 0..<2000 {
            #expect(cache.token(popular) != nil, "after \(number) others")
            cache.keep(entry(1000), for: SHA256.digest(of: "\(number)"), now: 0)
        }
        #expect(cache.count == 64)
        // New tokens find only expired ones, and evict more than they add.
        for number in 2000..<2032 { cache.keep(entry(3000), for: SHA256.digest(of: "\(number)"), now: 1000) }
        #expect(cache.count < 64)
        #expect((2000..<2032).filter { cache.token(SHA256.digest(of: "\($0)")) != nil }.count >= 24)
    }

    @Test("many threads that verify, evict and retire keys at once see no token of another")
    func race() async throws {
        let issuer = try TestIssuer(.eddsa)
        let verifier = World(issuer).verifier(cachedTokens: 20)
        let tokens = try (0..<60).map { try issuer.token(["jti": "\"\($0)\""]) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for start in 0..<8 {
                group.addTask { @concurrent in
                    for step in 0..<300 {
                        let index = (start * 7 + step * (start + 1)) % tokens.count
                        let claims = try verify(tokens[index], with: verifier)
                        #expect(claims.tokenID == "\(index)")
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(verifier.cachedTokenCount <= 20)
    }

    /// Synchronous, so that it calls the synchronous `verify`.
    private func verify(_ token: String, with verifier: TokenVerifier) throws -> AccessTokenClaims {
        try verifier.verify(token)
    }
}
