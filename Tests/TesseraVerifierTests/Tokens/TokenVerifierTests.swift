import OpenSSLCrypto
import Synchronization
import TesseraVerifier
import Testing

@Suite("Verifying access tokens")
struct TokenVerifierTests {
    @Test("a token of each algorithm is accepted, by its own key only", arguments: SigningAlgorithm.allCases)
    func algorithms(_ algorithm: SigningAlgorithm) throws {
        let issuer = try TestIssuer(algorithm)
        #expect(refusal(try verifier(trusting: issuer), try issuer.token()) == nil)

        let other = try TestIssuer(algorithm, kid: issuer.kid)
        #expect(refusal(try verifier(trusting: other), try issuer.token()) == .invalidSignature)
    }

    @Test("every claim reaches the handler")
    func claims() throws {
        let issuer = try TestIssuer()
        let claims = try verifier(trusting: issuer).verify(try issuer.token(["scope": "\"events  introspect\""]))
        let expected = AccessTokenClaims(
            issuer: TestIssuer.name,
            subject: "user-1",
            audience: ["tessera", "chat"],
            expiresAt: TestIssuer.now + 600,
            issuedAt: TestIssuer.now,
            tokenID: "token-1",
            sessionID: "session-1",
            clientID: "tessera",
            scope: ["events", "introspect"],
            role: "admin",
            kind: "user",
            userVersion: 3,
            globalVersion: 1,
            authenticationMethods: ["pwd"],
            authenticatedAt: TestIssuer.now - 5,
            emailVerified: true
        )
        #expect(claims == expected)
        #expect(claims.isUser)
    }

    @Test("a service's token has no session and is not a user's")
    func services() throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        let service: [String: String?] = ["sub": "\"client_worker\"", "sid": nil, "role": nil, "amr": nil, "kind": nil]
        #expect(try !verifier.verify(try issuer.token(service)).isUser)
        // Neither alone makes a user.
        #expect(try !verifier.verify(try issuer.token(["sid": nil])).isUser)
        #expect(try !verifier.verify(try issuer.token(["sub": "\"client_worker\""])).isUser)
    }

    @Test(
        "the type may be written as a media type, in any case, and must be an access token's",
        arguments: [
            ("at+jwt", nil), ("application/at+jwt", nil), ("AT+JWT", nil), ("Application/At+Jwt", nil),
            ("JWT", .wrongType), ("jwt", .wrongType), ("", .wrongType), ("at+jwt ", .wrongType),
            ("logout+jwt", .wrongType), ("text/at+jwt", .wrongType),
        ] as [(String, VerificationError.Code?)]
    )
    func types(_ type: String, _ expected: VerificationError.Code?) throws {
        let issuer = try TestIssuer()
        #expect(refusal(try verifier(trusting: issuer), try issuer.token(type: type)) == expected)
    }

    @Test(
        "issuer and audience must be exactly the ones wanted",
        arguments: [
            (["iss": "\"https://auth.test/\""], .wrongIssuer), (["iss": "\"https://AUTH.test\""], .wrongIssuer),
            (["iss": "\"\""], .malformed), (["aud": "\"chat\""], nil), (["aud": "[\"chat\"]"], nil),
            (["aud": "[\"tessera\"]"], .wrongAudience), (["aud": "\"chat \""], .wrongAudience),
            (["aud": "\"chatter\""], .wrongAudience), (["aud": "[]"], .wrongAudience),
            (["aud": "\"\""], .wrongAudience),
        ] as [([String: String?], VerificationError.Code?)]
    )
    func addressees(_ changes: [String: String?], _ expected: VerificationError.Code?) throws {
        let issuer = try TestIssuer()
        #expect(refusal(try verifier(trusting: issuer), try issuer.token(changes)) == expected)
    }

    @Test(
        "a token ends at exp to the second, and clocks may differ by 30 seconds at its beginning",
        arguments: [
            (["exp": 1], nil), (["exp": 0], .expired), (["exp": -1], .expired), (["exp": -29], .expired),
            (["iat": 30], nil), (["iat": 31], .issuedInFuture), (["nbf": 30], nil), (["nbf": 31], .notYetValid),
            (["nbf": -1], nil),
        ] as [([String: Int64], VerificationError.Code?)]
    )
    func times(_ offsets: [String: Int64], _ expected: VerificationError.Code?) throws {
        let issuer = try TestIssuer()
        let changes = offsets.mapValues { "\(TestIssuer.now + $0)" as String? }
        #expect(refusal(try verifier(trusting: issuer), try issuer.token(changes)) == expected)
    }

    @Test(
        "times at the ends of 64 bits are judged, and never stop the process",
        arguments: ["exp", "iat", "nbf"],
        ["9223372036854775807", "-9223372036854775808", "9223372036854775808"]
    )
    func extremeTimes(_ claim: String, _ value: String) throws {
        let issuer = try TestIssuer()
        let verdict = refusal(try verifier(trusting: issuer), try issuer.token([claim: value]))
        let expected: VerificationError.Code? =
            switch (claim, value) {
            case (_, "9223372036854775808"): .malformed
            case ("exp", "-9223372036854775808"): .expired
            case ("iat", "9223372036854775807"): .issuedInFuture
            case ("nbf", "9223372036854775807"): .notYetValid
            default: nil
            }
        #expect(verdict == expected)
    }

    @Test("a leeway is at least zero and at most five minutes", arguments: [(-1, 0), (0, 0), (60, 60), (301, 300)])
    func leeway(_ given: Int64, _ kept: Int64) {
        #expect(TokenRequirements(issuer: "i", audience: "a", clockLeeway: given).clockLeeway == kept)
    }

    @Test("the default clock is the time of day")
    func systemClock() {
        let year2024: Int64 = 1_704_067_200
        #expect(TokenRequirements(issuer: "i", audience: "a").clock() > year2024)
    }

    @Test("without any key nothing is known of a token; with others, it is unknown")
    func unknownKeys() throws {
        let issuer = try TestIssuer()
        #expect(refusal(try verifier(), try issuer.token()) == .keysUnavailable)
        #expect(refusal(try verifier(trusting: try TestIssuer()), try issuer.token()) == .unknownKey)
    }
}

@Suite("Asking whether a good token still stands")
struct RevocationTests {
    private struct StorageFault: Error {}

    private final class Verdict: RevocationLookup {
        let error: (any Error)?
        let asked = Mutex<[AccessTokenClaims]>([])

        init(_ error: (any Error)? = nil) {
            self.error = error
        }

        func check(_ claims: AccessTokenClaims) async throws {
            asked.withLock { $0.append(claims) }
            if let error { throw error }
        }
    }

    @Test("the source is asked about the claims of a good token, and only by the verify that waits")
    func asked() async throws {
        let issuer = try TestIssuer()
        let source = Verdict()
        let verifier = try verifier(trusting: issuer, lookup: source)
        let token = try issuer.token()
        #expect(refusal(verifier, token) == nil)
        #expect(source.asked.withLock { $0.isEmpty })
        let claims = try await verifier.verify(token)
        #expect(source.asked.withLock { $0 } == [claims])
    }

    @Test("a token that is not good is never asked about")
    func notAsked() async throws {
        let issuer = try TestIssuer()
        let source = Verdict()
        let verifier = try verifier(trusting: issuer, lookup: source)
        let token = try issuer.token(["exp": "1"])
        await #expect(throws: VerificationError(.expired)) { try await verifier.verify(token) }
        #expect(source.asked.withLock { $0.isEmpty })
    }

    @Test("a refusal is passed on, and so is, unchanged, the error of a source that cannot tell")
    func refusals() async throws {
        let issuer = try TestIssuer()
        let token = try issuer.token()
        for code in [VerificationError.Code.revoked, .stale] {
            let verifier = try verifier(trusting: issuer, lookup: Verdict(VerificationError(code)))
            await #expect(throws: VerificationError(code)) { try await verifier.verify(token) }
        }
        let verifier = try verifier(trusting: issuer, lookup: Verdict(StorageFault()))
        await #expect(throws: StorageFault.self) { try await verifier.verify(token) }
    }
}
