import Foundation
import OpenSSLCrypto
import TesseraVerifier

struct TestIssuer: Sendable {
    static let name = "https://auth.test"
    static let audience = "chat"
    static let now: Int64 = 1_800_000_000

    let key: SigningKey
    let kid: String

    init(_ algorithm: SigningAlgorithm = .es256, kid: String? = nil) throws {
        key = try SigningKey.generate(algorithm)
        self.kid = try kid ?? key.publicKey.jwk.thumbprint()
    }

    var jwk: JWK {
        var jwk = key.publicKey.jwk
        jwk.kid = kid
        return jwk
    }

    var jwkText: String {
        get throws { String(decoding: try JSONEncoder().encode(jwk), as: UTF8.self) }
    }

    /// A token that is valid at `now`, with some claims changed; `nil` removes one.
    func token(_ changes: [String: String?] = [:], type: String = "at+jwt") throws -> String {
        try token(payload: Self.payload(changes), type: type)
    }

    func token(payload: String, type: String = "at+jwt") throws -> String {
        try JWS.sign(payload: Array(payload.utf8), type: type, keyID: kid, key: key)
    }

    static func payload(_ changes: [String: String?] = [:]) -> String {
        var claims: [String: String] = [
            "iss": "\"\(name)\"", "sub": "\"user-1\"", "aud": "[\"tessera\",\"chat\"]", "exp": "\(now + 600)",
            "iat": "\(now)", "jti": "\"token-1\"", "sid": "\"session-1\"", "client_id": "\"tessera\"",
            "scope": "\"\"", "role": "\"admin\"", "kind": "\"user\"", "ver": "3", "gver": "1", "amr": "[\"pwd\"]",
            "auth_time": "\(now - 5)", "email_verified": "true",
        ]
        for (name, value) in changes { claims[name] = value }
        let members = claims.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
        return "{\(members.joined(separator: ","))}"
    }

    static var requirements: TokenRequirements {
        TokenRequirements(issuer: name, audience: audience, clock: { now })
    }
}

func document(of issuers: [TestIssuer]) throws -> [UInt8] {
    Array("{\"keys\":[\(try issuers.map { try $0.jwkText }.joined(separator: ","))]}".utf8)
}

func verifier(
    trusting issuers: TestIssuer...,
    revocations: (any RevocationSource)? = nil,
    lookup: (any RevocationLookup)? = nil
) throws -> TokenVerifier {
    let keys = Dictionary(uniqueKeysWithValues: issuers.map { ($0.kid, $0.key.publicKey) })
    return TokenVerifier(
        requirements: TestIssuer.requirements,
        keys: FixedKeys(keys: KeySet(keys)),
        revocations: revocations,
        lookup: lookup
    )
}

func refusal(_ verifier: TokenVerifier, _ token: String) -> VerificationError.Code? {
    do throws(VerificationError) {
        _ = try verifier.verify(token)
        return nil
    } catch {
        return error.code
    }
}

struct FixedKeys: KeySource {
    let keys: KeySet

    func snapshot() -> KeySet { keys }
    func refresh(afterUnknownKeyID keyID: String) async throws {}
}

extension String {
    var parts: [String] { split(separator: ".", omittingEmptySubsequences: false).map(String.init) }
}
