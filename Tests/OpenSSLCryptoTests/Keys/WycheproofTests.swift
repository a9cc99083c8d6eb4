// C2SP's Wycheproof: signatures, tokens and keys that other implementations got wrong. They run if TESSERA_VECTORS is
// set.
import OpenSSLCrypto
import Testing

@Suite("Wycheproof")
struct WycheproofTests {
    enum Result: String, Decodable { case valid, invalid, acceptable }

    enum File: String, CaseIterable {
        case ed25519 = "ed25519_test"
        case ecdsa = "ecdsa_secp256r1_sha256_p1363_test"
        case rsa = "rsa_signature_2048_sha256_test"
        case tokens = "json_web_signature_test"
        case keys = "json_web_key_test"
    }

    @Test(
        "signatures, tokens and keys are judged as published",
        .enabled(if: Vectors.elsewhere != nil, "TESSERA_VECTORS does not name the folder of the published vectors"),
        arguments: File.allCases
    )
    func judged(_ file: File) throws {
        switch file {
        case .ed25519, .ecdsa, .rsa: try signatures(file)
        case .tokens: try tokens()
        case .keys: try keys()
        }
    }

    private struct SignatureFile: Decodable {
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

    private func signatures(_ name: File) throws {
        let file: SignatureFile = try Vectors.wycheproof(name.rawValue)
        var judged = 0
        for group in file.testGroups {
            // Groups without a JWK test other encodings of the key.
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

    private struct TokenFile: Decodable {
        struct Group: Decodable {
            let comment: String
            let `public`: JWK?
            let tests: [TokenCase]
        }
        let testGroups: [Group]
    }

    private struct TokenCase: Decodable {
        let tcId: Int
        let comment: String
        let jws: String
        let result: Result
    }

    /// Cases that contradict their own label; see Tests/Vectors/SOURCES.md.
    private static let faulty: Set<Int> = [346, 347, 350, 351, 367, 370, 372, 373]

    private func tokens() throws {
        let file: TokenFile = try Vectors.wycheproof(File.tokens.rawValue)
        var accepted = 0
        var refused = 0
        for group in file.testGroups {
            let key = group.public.flatMap { try? VerificationKey(jwk: $0) }
            for test in group.tests where !Self.faulty.contains(test.tcId) {
                let isAccepted = key.map { (try? JWS.parse(test.jws))?.isSigned(by: $0) ?? false } ?? false
                // Groups of HS*, PS*, RS384 and RS512 have no key here, so their valid tokens are refused too.
                let isOurs = group.public?.alg.flatMap(SigningAlgorithm.init(rawValue:)) != nil
                #expect(isAccepted == (test.result == .valid && isOurs), "\(test.tcId) \(test.comment)")
                if isAccepted { accepted += 1 } else { refused += 1 }
            }
        }
        #expect(accepted == 10)
        #expect(refused > 340)
    }

    private struct KeyFile: Decodable {
        struct Group: Decodable {
            let comment: String
            let `public`: Keys?
            let `private`: Keys?
            let tests: [TokenCase]
        }
        struct Keys: Decodable {
            let keys: [JWK]
        }
        let numberOfTests: Int
        let testGroups: [Group]
    }

    /// Each token is checked with every key of its set that has its `kid`, as a verifier does.
    private func keys() throws {
        let file: KeyFile = try Vectors.wycheproof(File.keys.rawValue)
        var accepted: [Int] = []
        var refused = 0
        for group in file.testGroups {
            let jwks = (group.public ?? group.private)?.keys ?? []
            #expect(!jwks.isEmpty, "\(group.comment)")
            for test in group.tests {
                let isAccepted = jwks.contains { jwk in
                    guard let token = try? JWS.parse(test.jws), token.header.kid == jwk.kid,
                        let key = try? VerificationKey(jwk: jwk)
                    else { return false }
                    return token.isSigned(by: key)
                }
                if isAccepted { accepted.append(test.tcId) } else { refused += 1 }
                if test.result == .invalid { #expect(!isAccepted, "\(test.tcId) \(group.comment) \(test.comment)") }
            }
        }
        // The other valid tokens use HS256, HS384 and HS512, which no verifier of ours accepts.
        #expect(accepted == [5])
        #expect(refused == file.numberOfTests - 1)
    }
}
