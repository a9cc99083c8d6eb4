import Foundation
import OpenSSLCrypto
import Testing

@Suite("Signing keys")
struct SigningKeyTests {
    static let message = Array("the message".utf8)

    @Test(
        "a new key signs, and its published half verifies that and nothing else",
        arguments: SigningAlgorithm.allCases
    )
    func signAndVerify(algorithm: SigningAlgorithm) throws {
        let key = try SigningKey.generate(algorithm)
        #expect(key.algorithm == algorithm)
        let json = try JSONEncoder().encode(key.publicKey.jwk)
        let published = try VerificationKey(jwk: JSONDecoder().decode(JWK.self, from: json))
        #expect(published.algorithm == algorithm)
        let signature = try key.sign(Self.message)
        #expect(signature.count == (algorithm == .rs256 ? 256 : 64))
        #expect(published.isValid(signature: signature, for: Self.message))
        #expect(!published.isValid(signature: signature, for: Self.message + [0]))
        #expect(!published.isValid(signature: signature + [0], for: Self.message))
        #expect(!published.isValid(signature: [], for: Self.message))
        #expect(try !SigningKey.generate(algorithm).publicKey.isValid(signature: signature, for: Self.message))
        for index in signature.indices {
            var altered = signature
            altered[index] ^= 0x10
            #expect(!published.isValid(signature: altered, for: Self.message))
        }
    }

    @Test("a key survives PKCS #8, and only under its own algorithm", arguments: SigningAlgorithm.allCases)
    func pkcs8(algorithm: SigningAlgorithm) throws {
        let key = try SigningKey.generate(algorithm)
        let encoded = try key.pkcs8()
        let again = try SigningKey(pkcs8: encoded, algorithm: algorithm)
        #expect(again.publicKey.jwk == key.publicKey.jwk)
        #expect(key.publicKey.isValid(signature: try again.sign(Self.message), for: Self.message))
        for other in SigningAlgorithm.allCases where other != algorithm {
            #expect(throws: CryptoError.self) { try SigningKey(pkcs8: encoded, algorithm: other) }
        }
        #expect(throws: CryptoError.invalidEncoding) { try SigningKey(pkcs8: encoded + [0], algorithm: algorithm) }
        #expect(throws: CryptoError.invalidEncoding) {
            try SigningKey(pkcs8: Array(encoded.dropLast()), algorithm: algorithm)
        }
        #expect(throws: CryptoError.invalidEncoding) { try SigningKey(pkcs8: [], algorithm: algorithm) }
    }

    @Test("ES256 signatures are 64 bytes even when r or s begins with zeros")
    func shortIntegers() throws {
        // About one signature in 128 has an r or s of 31 bytes or less.
        let key = try SigningKey.generate(.es256)
        var short = 0
        for number in 0..<2000 {
            let message = Array("\(number)".utf8)
            let signature = try key.sign(message)
            #expect(signature.count == 64)
            if signature[0] == 0 || signature[32] == 0 {
                short += 1
                #expect(key.publicKey.isValid(signature: signature, for: message))
            }
        }
        #expect(short > 0)
    }

    @Test("one key may sign and verify on many threads at once", arguments: SigningAlgorithm.allCases)
    func concurrency(algorithm: SigningAlgorithm) async throws {
        let key = try SigningKey.generate(algorithm)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for task in 0..<8 {
                group.addTask {
                    try (0..<25).allSatisfy { number in
                        let message = Array("\(task) \(number)".utf8)
                        return key.publicKey.isValid(signature: try key.sign(message), for: message)
                    }
                }
            }
            for try await allValid in group { #expect(allValid) }
        }
    }

    static let point = (
        x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    )

    @Test("a point that is not on the curve is refused")
    func offCurve() throws {
        #expect(throws: Never.self) {
            try VerificationKey(jwk: JWK(kty: "EC", crv: "P-256", x: Self.point.x, y: Self.point.y))
        }
        let wrong: [(String?, String?)] = [
            (Self.point.y, Self.point.x), (Self.point.x, nil), (nil, Self.point.y), (Self.point.x, ""),
            (Self.point.x, Self.point.y + "AA"), (Base64URL.encode([UInt8](repeating: 0, count: 32)), Self.point.y),
            (Base64URL.encode([UInt8](repeating: 0xFF, count: 32)), Self.point.y),
            (Self.point.x + "=", Self.point.y),
        ]
        for (x, y) in wrong {
            #expect(throws: CryptoError.self) { try VerificationKey(jwk: JWK(kty: "EC", crv: "P-256", x: x, y: y)) }
        }
    }

    @Test("type, curve and algorithm of a JWK must agree")
    func algorithms() throws {
        func jwk(_ kty: String, _ crv: String?, alg: String? = nil) -> JWK {
            JWK(kty: kty, crv: crv, x: Self.point.x, y: Self.point.y, alg: alg)
        }
        #expect(try VerificationKey(jwk: jwk("EC", "P-256", alg: "ES256")).algorithm == .es256)
        #expect(try VerificationKey(jwk: jwk("OKP", "Ed25519")).algorithm == .eddsa)
        for wrong in [
            jwk("EC", "P-384"), jwk("EC", nil), jwk("EC", "secp256k1"), jwk("OKP", "X25519"), jwk("oct", nil),
            jwk("EC", "P-256", alg: "HS256"), jwk("EC", "P-256", alg: "EdDSA"), jwk("EC", "P-256", alg: "none"),
            jwk("OKP", "Ed25519", alg: "ES256"), jwk("ec", "P-256"),
        ] {
            #expect(throws: CryptoError.unsupportedAlgorithm) { try VerificationKey(jwk: wrong) }
        }
    }

    @Test("a key that is for encryption, or may not verify, is refused")
    func uses() throws {
        func jwk(use: String?, operations: [String]?) -> JWK {
            JWK(kty: "EC", crv: "P-256", x: Self.point.x, y: Self.point.y, use: use, keyOperations: operations)
        }
        #expect(throws: Never.self) { try VerificationKey(jwk: jwk(use: "sig", operations: ["verify"])) }
        for wrong in [
            jwk(use: "enc", operations: nil), jwk(use: nil, operations: ["sign"]), jwk(use: nil, operations: []),
        ] {
            #expect(throws: CryptoError.self) { try VerificationKey(jwk: wrong) }
        }
    }

    @Test("weak or malformed RSA keys are refused")
    func rsaKeys() throws {
        let strong = try SigningKey.generate(.rs256).publicKey.jwk
        let modulus = try #require(strong.n.flatMap { Base64URL.decode($0) })
        #expect(modulus.count == 256 && strong.e == "AQAB")
        func refused(n: [UInt8], e: [UInt8] = [1, 0, 1]) {
            let jwk = JWK(kty: "RSA", n: Base64URL.encode(n), e: Base64URL.encode(e))
            #expect(throws: CryptoError.self) { try VerificationKey(jwk: jwk) }
        }
        refused(n: Array(modulus.prefix(128)).dropLast() + [1])
        // 2047 bits.
        refused(n: [0x7F] + modulus.dropFirst())
        refused(n: [0] + modulus)
        refused(n: modulus.dropLast() + [0])
        refused(n: [])
        refused(n: modulus + [UInt8](repeating: 1, count: 1024))
        for e: [UInt8] in [[], [0], [1], [2], [1, 0, 0], [0, 1, 0, 1], [UInt8](repeating: 1, count: 9)] {
            refused(n: modulus, e: e)
        }
        #expect(throws: Never.self) {
            try VerificationKey(jwk: JWK(kty: "RSA", n: Base64URL.encode(modulus), e: Base64URL.encode([3])))
        }
    }

    @Test("an RSA private key of 1024 bits cannot be used for signing")
    func shortPrivateKey() throws {
        let der = try #require(Base64.decode(try Vectors.text("rsa_1024_pkcs8.txt").filter { !$0.isWhitespace }))
        #expect(throws: CryptoError.invalidKey(reason: "RS256 needs a modulus of 2048 to 8192 bits")) {
            try SigningKey(pkcs8: der, algorithm: .rs256)
        }
    }

    @Test(
        "a JWK with private or symmetric members is no verification key",
        arguments: ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
    )
    func privateMembers(member: String) throws {
        let json = """
            {"kty":"EC","crv":"P-256","x":"\(Self.point.x)","y":"\(Self.point.y)","\(member)":"AQ"}
            """
        let jwk = try JSONDecoder().decode(JWK.self, from: Data(json.utf8))
        #expect(throws: CryptoError.invalidKey(reason: "it carries private members")) { try VerificationKey(jwk: jwk) }
        let encoded = try JSONEncoder().encode(jwk)
        #expect(!String(decoding: encoded, as: UTF8.self).contains("\"\(member)\""))
    }

    @Test("a private JWK whose halves belong to different keys is refused")
    func mismatchedHalves() throws {
        let file = try Vectors.load("rfc_jose", as: JOSEVectorTests.File.self)
        for vector in file.jws {
            #expect(throws: Never.self) { try SigningKey(privateJWK: vector.key.key) }
        }
        for json in [
            #"{"kty":"EC","crv":"P-256","x":"\#(Self.point.x)","y":"\#(Self.point.y)","d":"\#(Self.point.x)"}"#,
            #"{"kty":"OKP","crv":"Ed25519","x":"\#(Self.point.x)","d":"\#(Self.point.y)"}"#,
            #"{"kty":"OKP","crv":"Ed25519","x":"\#(Self.point.x)"}"#,
        ] {
            let jwk = try JSONDecoder().decode(PrivateJWK.self, from: Data(json.utf8))
            #expect(throws: CryptoError.self) { try SigningKey(privateJWK: jwk) }
        }
    }

    @Test("a thumbprint needs the members that it is made of")
    func incompleteThumbprint() {
        #expect(throws: CryptoError.self) { try JWK(kty: "EC", crv: "P-256", x: Self.point.x).thumbprint() }
        #expect(throws: CryptoError.self) { try JWK(kty: "OKP", crv: "Ed25519", x: "\",\"").thumbprint() }
        #expect(throws: CryptoError.unsupportedAlgorithm) { try JWK(kty: "oct").thumbprint() }
    }
}
