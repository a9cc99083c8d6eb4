import Foundation
import OpenSSLCrypto
import Testing

@Suite("The examples of the JOSE RFCs")
struct JOSEVectorTests {
    struct Key: Decodable {
        let key: PrivateJWK
        let published: JWK

        init(from decoder: any Decoder) throws {
            key = try PrivateJWK(from: decoder)
            let all = try JWK(from: decoder)
            published = JWK(kty: all.kty, crv: all.crv, x: all.x, y: all.y, n: all.n, e: all.e, kid: all.kid)
        }
    }

    struct File: Decodable {
        struct Signature: Decodable {
            let name: String
            let deterministic: Bool
            let key: Key
            let jws: String
        }
        struct Thumbprint: Decodable {
            let name: String
            let key: JWK
            let thumbprint: String
        }
        let jws: [Signature]
        let thumbprints: [Thumbprint]
    }

    static func file() throws -> File { try Vectors.load("rfc_jose") }

    @Test("the tokens of RFC 7515, 7520 and 8037 verify with their own key and with no other")
    func verify() throws {
        let vectors = try Self.file().jws
        #expect(vectors.count == 4)
        for (index, vector) in vectors.enumerated() {
            let token = try JWS.parse(vector.jws)
            #expect(token.isSigned(by: try VerificationKey(jwk: vector.key.published)), "\(vector.name)")
            for (other, otherVector) in vectors.enumerated() where other != index {
                #expect(!token.isSigned(by: try VerificationKey(jwk: otherVector.key.published)))
            }
        }
    }

    @Test("signing anew gives the very signature where the algorithm has no randomness, and a valid one elsewhere")
    func sign() throws {
        for vector in try Self.file().jws {
            let key = try SigningKey(privateJWK: vector.key.key)
            let token = try JWS.parse(vector.jws)
            let signature = try key.sign(token.signingInput)
            if vector.deterministic { #expect(signature == token.signature, "\(vector.name)") }
            let published = try VerificationKey(jwk: vector.key.published)
            #expect(published.isValid(signature: signature, for: token.signingInput))
        }
    }

    @Test("with any byte of header, payload or signature changed, the example is refused")
    func tampering() throws {
        for vector in try Self.file().jws {
            let key = try VerificationKey(jwk: vector.key.published)
            let token = Array(vector.jws.utf8)
            for index in token.indices {
                var altered = token
                altered[index] = token[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                let isAccepted = (try? JWS.parse(utf8: altered))?.isSigned(by: key) ?? false
                #expect(!isAccepted, "\(vector.name), byte \(index)")
            }
        }
    }

    @Test("thumbprints are those of RFC 7638 §3.1 and RFC 8037 A.3")
    func thumbprints() throws {
        let vectors = try Self.file().thumbprints
        #expect(vectors.count == 2)
        for vector in vectors { #expect(try vector.key.thumbprint() == vector.thumbprint, "\(vector.name)") }
    }
}
