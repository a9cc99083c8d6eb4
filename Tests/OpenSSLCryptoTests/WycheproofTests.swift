import OpenSSLCrypto
import Testing

@Suite("Wycheproof")
struct WycheproofTests {
    enum Result: String, Decodable { case valid, invalid, acceptable }

    struct SignatureFile: Decodable {
        struct Group: Decodable {
            let publicKeyJwk: JWK?
            let keyJwk: JWK?
            let publicKeyDer: String
            let tests: [Case]
        }
        struct Case: Decodable {
            let tcId: Int
            let comment: String
            let msg, sig: HexBytes
            let result: Result
        }
        let numberOfTests: Int
        let testGroups: [Group]
    }

    @Test(
        "raw signatures are judged as published",
        arguments: ["ed25519_test", "ecdsa_secp256r1_sha256_p1363_test", "rsa_signature_2048_sha256_test"]
    )
    func signatures(name: String) throws {
        let file: SignatureFile = try Vectors.load("wycheproof/\(name)")
        var judged = 0
        for group in file.testGroups {
            // Groups without a JWK are about other encodings of the key.
            guard let jwk = group.publicKeyJwk ?? group.keyJwk else { continue }
            let key = try VerificationKey(jwk: jwk)
            for test in group.tests where test.result != .acceptable {
                let isValid = key.isValid(signature: test.sig.bytes, for: test.msg.bytes)
                #expect(isValid == (test.result == .valid), "\(name) \(test.tcId) \(test.comment)")
                judged += 1
            }
        }
        #expect(judged > 140)
        #expect(judged >= file.numberOfTests - 16)
    }

    struct TokenFile: Decodable {
        struct Group: Decodable {
            let comment: String
            let `public`: JWK?
            let tests: [Case]
        }
        struct Case: Decodable {
            let tcId: Int
            let comment: String
            let jws: String
            let result: Result
        }
        let testGroups: [Group]
    }

    /// Cases that contradict their own label; Tests/Vectors/SOURCES.md says how.
    static let faulty: Set<Int> = [346, 347, 350, 351, 367, 370, 372, 373]

    @Test("tokens are judged as published, and never accepted with a key of another algorithm")
    func tokens() throws {
        let file: TokenFile = try Vectors.load("wycheproof/json_web_signature_test")
        var accepted = 0
        var refused = 0
        for group in file.testGroups {
            let key = group.public.flatMap { try? VerificationKey(jwk: $0) }
            for test in group.tests where !Self.faulty.contains(test.tcId) {
                let isAccepted = key.map { (try? JWS.parse(test.jws))?.isSigned(by: $0) ?? false } ?? false
                // Groups of HS*, PS*, RS384 and RS512 have no key here, so that their valid tokens are refused too.
                let isOurs = group.public?.alg.flatMap(SigningAlgorithm.init(rawValue:)) != nil
                #expect(isAccepted == (test.result == .valid && isOurs), "\(test.tcId) \(test.comment)")
                if isAccepted { accepted += 1 } else { refused += 1 }
            }
        }
        #expect(accepted == 10)
        #expect(refused > 340)
    }
}
