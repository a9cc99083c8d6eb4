import Foundation
import OpenSSLCrypto
import TesseraVerifier
import Testing

@Suite("Forged tokens")
struct ForgeryTests {
    /// A token with any header over a valid payload.
    private func forged(header: String, signature: (_ input: [UInt8]) throws -> [UInt8]) rethrows -> String {
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(TestIssuer.payload().utf8))
        return input + "." + Base64URL.encode(try signature(Array(input.utf8)))
    }

    @Test(
        "an algorithm that is none of ours is refused, before a key is looked for",
        arguments: ["none", "None", "NONE", "nOnE", "HS256", "HS512", "ES384", "PS256", "RS1", "es256", "", "EdDSA "]
    )
    func foreignAlgorithms(_ alg: String) throws {
        let issuer = try TestIssuer()
        for kid in [issuer.kid, "unknown"] {
            let header = "{\"alg\":\"\(alg)\",\"typ\":\"at+jwt\",\"kid\":\"\(kid)\"}"
            for signature in [[], [UInt8](repeating: 1, count: 64)] {
                let token = forged(header: header) { _ in signature }
                #expect(refusal(try verifier(trusting: issuer), token) == .unsupportedAlgorithm)
            }
        }
    }

    @Test(
        "a public key does not serve as the secret of HS256, however it is written",
        arguments: SigningAlgorithm.allCases
    )
    func publicKeyAsSecret(_ algorithm: SigningAlgorithm) throws {
        let issuer = try TestIssuer(algorithm)
        let verifier = try verifier(trusting: issuer)
        let jwk = issuer.jwk
        // SubjectPublicKeyInfo (RFC 5480 §2) of a P-256 key, as DER and PEM, which libraries return as "the key".
        let point = try [jwk.x, jwk.y].flatMap { try #require(Base64URL.decode($0 ?? "")) }
        let info = try #require(Hex.decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004")) + point
        let pem = "-----BEGIN PUBLIC KEY-----\n\(Base64.encode(info))\n-----END PUBLIC KEY-----\n"
        let secrets = [
            info, Array(pem.utf8), Array(try JSONEncoder().encode(jwk)), Array((jwk.x ?? jwk.n ?? "").utf8),
            try #require(Base64URL.decode(jwk.x ?? jwk.n ?? "")), try document(of: [issuer]),
        ]
        for secret in secrets {
            for (alg, expected) in [
                ("HS256", VerificationError.Code.unsupportedAlgorithm), (algorithm.rawValue, .invalidSignature),
            ] {
                let token = forged(header: "{\"alg\":\"\(alg)\",\"typ\":\"at+jwt\",\"kid\":\"\(issuer.kid)\"}") {
                    HMACSHA256.authenticationCode(for: $0, key: secret)
                }
                #expect(refusal(verifier, token) == expected)
            }
        }
    }

    @Test(
        "the key decides the algorithm: a token that names another key's is refused",
        arguments: SigningAlgorithm.allCases
    )
    func confusion(_ algorithm: SigningAlgorithm) throws {
        let signer = try TestIssuer(algorithm)
        for other in SigningAlgorithm.allCases where other != algorithm {
            let victim = try TestIssuer(other)
            let header = "{\"alg\":\"\(algorithm.rawValue)\",\"typ\":\"at+jwt\",\"kid\":\"\(victim.kid)\"}"
            let token = try forged(header: header) { try signer.key.sign($0) }
            #expect(refusal(try verifier(trusting: victim, signer), token) == .algorithmMismatch)
        }
    }

    @Test("a key that the token brings along is not looked at")
    func embeddedKeys() throws {
        let attacker = try TestIssuer()
        let victim = try TestIssuer()
        let jwk = String(decoding: try JSONEncoder().encode(attacker.jwk), as: UTF8.self)
        for member in [
            "\"jwk\":\(jwk)", "\"jku\":\"https://evil.test/jwks.json\"", "\"x5c\":[\"AAAA\"]",
            "\"x5u\":\"https://evil.test\"",
        ] {
            let header = "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\(victim.kid)\",\(member)}"
            let stolen = try forged(header: header) { try attacker.key.sign($0) }
            #expect(refusal(try verifier(trusting: victim), stolen) == .invalidSignature)
            // A good token is unaffected.
            let good = try forged(header: header) { try victim.key.sign($0) }
            #expect(refusal(try verifier(trusting: victim), good) == nil)
        }
    }

    @Test(
        "a header that says something else or says it twice is refused",
        arguments: [
            "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"KID\",\"crit\":[\"exp\"]}",
            "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"KID\",\"b64\":false}",
            "{\"alg\":\"none\",\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"KID\"}",
            "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"KID\",\"kid\":\"KID\"}",
            "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":7}",
            "{\"typ\":\"at+jwt\",\"kid\":\"KID\"}", "[]", "", "{",
        ]
    )
    func headers(_ header: String) throws {
        let issuer = try TestIssuer()
        let token = try forged(header: header.replacing("KID", with: issuer.kid)) { try issuer.key.sign($0) }
        #expect(refusal(try verifier(trusting: issuer), token) == .malformed)
    }

    @Test(
        "a key id may hold anything and finds nothing",
        arguments: ["../../etc/passwd", "' OR 1=1 --", "a\\u0000b", "", "💥"]
    )
    func keyIDs(_ kid: String) throws {
        let issuer = try TestIssuer()
        let token = try forged(header: "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\(kid)\"}") {
            try issuer.key.sign($0)
        }
        #expect(refusal(try verifier(trusting: issuer), token) == .unknownKey)
    }

    @Test("a key id of 4 KiB finds nothing; with one of 10 KiB the token is not looked at")
    func longKeyIDs() throws {
        let issuer = try TestIssuer()
        for (length, expected) in [(4096, VerificationError.Code.unknownKey), (10_240, .malformed)] {
            let kid = String(repeating: "k", count: length)
            let token = try forged(header: "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\(kid)\"}") {
                try issuer.key.sign($0)
            }
            #expect(refusal(try verifier(trusting: issuer), token) == expected)
        }
    }

    @Test("a key on another curve is none, and a signature of another curve's length is not ES256's")
    func otherCurves() throws {
        let issuer = try TestIssuer()
        let parts = try issuer.token().parts
        for length in [56, 64, 96, 132] {
            let signature = [UInt8](repeating: 1, count: length)
            let token = "\(parts[0]).\(parts[1]).\(Base64URL.encode(signature))"
            #expect(refusal(try verifier(trusting: issuer), token) == .invalidSignature, "\(length) bytes")
        }
        for curve in ["P-384", "P-521", "secp256k1", "P-192", "Ed25519"] {
            let document = try issuer.jwkText.replacing("\"P-256\"", with: "\"\(curve)\"")
            #expect(document.contains(curve))
            let keys = try KeySet(jwks: Array("{\"keys\":[\(document)]}".utf8))
            let verifier = TokenVerifier(requirements: TestIssuer.requirements, keys: FixedKeys(keys: keys))
            #expect(refusal(verifier, try issuer.token()) == .keysUnavailable, "\(curve)")
        }
    }

    @Test("base64url has one form: no spare bits, no padding, no white space", arguments: SigningAlgorithm.allCases)
    func oneEncoding(_ algorithm: SigningAlgorithm) throws {
        let issuer = try TestIssuer(algorithm)
        let verifier = try verifier(trusting: issuer)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        // Payloads of every length modulo 3.
        let tokens = try ["", "x", "xx"].map { try issuer.token(["note": "\"\($0)\""]) }
        var spare = 0
        for token in tokens {
            #expect(refusal(verifier, token) == nil)
            let parts = token.parts
            for index in parts.indices {
                func changed(_ part: String) -> String {
                    var parts = parts
                    parts[index] = part
                    return parts.joined(separator: ".")
                }
                let part = parts[index]
                for bad in ["=", "==", " ", "\n", "\r\n", "\t", "\u{A0}"].flatMap({ [part + $0, $0 + part] }) {
                    #expect(refusal(verifier, changed(bad)) == .malformed)
                }
                #expect(refusal(verifier, changed(String(part.dropLast(5)) + "\n" + part.suffix(5))) == .malformed)
                // The last character's low bits belong to no byte, and a lenient decoder drops them.
                let bits = part.utf8.count % 4 == 2 ? 4 : part.utf8.count % 4 == 3 ? 2 : 0
                let last = try #require(part.last)
                let value = try #require(alphabet.firstIndex(of: last))
                for difference in 0..<(1 << bits) where difference > 0 {
                    #expect(
                        refusal(verifier, changed(part.dropLast() + String(alphabet[value ^ difference]))) == .malformed
                    )
                    spare += 1
                }
            }
        }
        #expect(spare > 0)
    }

    @Test("a token cut off anywhere is refused")
    func cutOff() throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        let token = try issuer.token()
        for length in 0..<token.utf8.count { #expect(refusal(verifier, String(token.prefix(length))) != nil) }
    }

    @Test("deep nesting in the header is refused, or passed over, without exhausting the stack")
    func nestedHeader() throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        func token(_ depth: Int) throws -> String {
            let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            let header = "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\(issuer.kid)\",\"x\":\(nested)}"
            return try forged(header: header) { try issuer.key.sign($0) }
        }
        #expect(refusal(verifier, try token(1)) == nil)
        #expect(refusal(verifier, try token(2500)) == .malformed)
    }

    @Test("a signature with any bit flipped is refused", arguments: SigningAlgorithm.allCases)
    func flippedBits(_ algorithm: SigningAlgorithm) throws {
        let issuer = try TestIssuer(algorithm)
        let verifier = try verifier(trusting: issuer)
        let parts = try issuer.token().parts
        let signature = try #require(Base64URL.decode(parts[2]))
        for index in signature.indices {
            for bit in 0..<8 {
                var flipped = signature
                flipped[index] ^= 1 << bit
                let token = "\(parts[0]).\(parts[1]).\(Base64URL.encode(flipped))"
                #expect(refusal(verifier, token) == .invalidSignature, "byte \(index), bit \(bit)")
            }
        }
    }

    @Test("a token with any character changed, taken out or put in is refused", arguments: SigningAlgorithm.allCases)
    func changedCharacters(_ algorithm: SigningAlgorithm) throws {
        let issuer = try TestIssuer(algorithm)
        let verifier = try verifier(trusting: issuer)
        let token = Array(try issuer.token().utf8)
        #expect(refusal(verifier, String(decoding: token, as: UTF8.self)) == nil)
        #expect(verifier.cachedTokenCount == 1)
        for index in token.indices {
            var changed = token
            changed[index] = token[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(refusal(verifier, String(decoding: changed, as: UTF8.self)) != nil, "changed at \(index)")
            changed = token
            changed.remove(at: index)
            #expect(refusal(verifier, String(decoding: changed, as: UTF8.self)) != nil, "shortened at \(index)")
            changed = token
            changed.insert(UInt8(ascii: "A"), at: index)
            #expect(refusal(verifier, String(decoding: changed, as: UTF8.self)) != nil, "extended at \(index)")
        }
        for suffix in ["=", "==", ".", " ", "\n", "\u{0}", ".AAAA"] {
            #expect(refusal(verifier, String(decoding: token, as: UTF8.self) + suffix) == .malformed)
        }
    }

    @Test("an ES256 signature is r and s, 32 bytes each, within the group: DER, zeros and n are refused")
    func ecdsaEncodings() throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        let parts = try issuer.token().parts
        let good = try #require(Base64URL.decode(parts[2]))
        let order: [UInt8] =
            [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 8)
            + [0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51]
        let (r, s) = (Array(good[..<32]), Array(good[32...]))
        let zero = [UInt8](repeating: 0, count: 32)
        func integer(_ bytes: [UInt8]) -> [UInt8] {
            let body = bytes[0] & 0x80 == 0 ? bytes : [0] + bytes
            return [0x02, UInt8(body.count)] + body
        }
        let der = integer(r) + integer(s)
        let bad = [
            zero + zero, r + zero, zero + s, r + order, order + s, order + order, [0x30, UInt8(der.count)] + der,
            good + [0], Array(good.dropLast()), [0] + good, [],
        ]
        for signature in bad {
            let token = "\(parts[0]).\(parts[1]).\(Base64URL.encode(signature))"
            #expect(refusal(verifier, token) == .invalidSignature)
        }
    }

    @Test(
        "text that is no token is refused",
        arguments: ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "Bearer a.b.c", "é.é.é"]
    )
    func noTokens(_ text: String) throws {
        #expect(refusal(try verifier(trusting: try TestIssuer()), text) == .malformed)
    }

    @Test("a token of 8 KiB is looked at, a longer one is not")
    func length() throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        func token(padding: Int) throws -> String {
            try issuer.token(["note": "\"" + String(repeating: "x", count: padding) + "\""])
        }
        // Base64url makes 4 characters of 3 bytes; the longest token that fits is within 3 characters of the limit.
        let padding = try #require((5000..<6500).last { try token(padding: $0).utf8.count <= 8192 })
        #expect(try token(padding: padding).utf8.count >= 8190)
        #expect(refusal(verifier, try token(padding: padding)) == nil)
        #expect(refusal(verifier, try token(padding: padding + 3)) == .malformed)
        #expect(refusal(verifier, String(repeating: "a", count: 1 << 20)) == .malformed)
    }
}
