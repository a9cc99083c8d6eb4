import Foundation
import OpenSSLCrypto
import TesseraVerifier
import Testing

@Suite("Key sets")
struct KeySetTests {
    private func set(_ jwks: String...) throws -> KeySet {
        try KeySet(jwks: Array("{\"keys\":[\(jwks.joined(separator: ","))]}".utf8))
    }

    private func json(_ issuer: TestIssuer, _ change: (inout JWK) -> Void = { _ in }) throws -> String {
        var jwk = issuer.jwk
        change(&jwk)
        return String(decoding: try JSONEncoder().encode(jwk), as: UTF8.self)
    }

    @Test("keys of all three algorithms are read, and verify")
    func allAlgorithms() throws {
        let issuers = try SigningAlgorithm.allCases.map { try TestIssuer($0) }
        let keys = try set(try json(issuers[0]), try json(issuers[1]), try json(issuers[2]))
        #expect(keys.keyIDs == issuers.map(\.kid).sorted())
        let verifier = TokenVerifier(requirements: TestIssuer.requirements, keys: FixedKeys(keys: keys))
        for issuer in issuers { #expect(refusal(verifier, try issuer.token()) == nil) }
    }

    @Test("a key that cannot be used is passed over, and its neighbours are not")
    func passedOver() throws {
        let good = try TestIssuer()
        let other = try TestIssuer()
        let unusable = [
            try json(other) { $0.use = "enc" }, try json(other) { $0.kid = nil }, try json(other) { $0.kty = "oct" },
            try json(other) { $0.alg = "ES512" }, try json(other) { $0.crv = "P-521" },
            try json(other) { $0.x = "AAAA" },
            try json(other) { $0.keyOperations = ["encrypt"] },
            try json(other).replacing("\"kty\":", with: "\"d\":\"AAAA\",\"kty\":"),
            "{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"secret\"}", "{\"kid\":\"x\"}", "{}", "7", "null", "[]",
            "{\"kty\":7,\"kid\":\"x\"}",
        ]
        for jwk in unusable {
            #expect(try set(jwk, try json(good), jwk).keyIDs == [good.kid], "\(jwk)")
        }
        #expect(try set(try json(good) { $0.use = nil }).contains(good.kid))
    }

    @Test("of two keys with one id the first counts")
    func sameID() throws {
        let first = try TestIssuer(kid: "k")
        let second = try TestIssuer(kid: "k")
        let keys = FixedKeys(keys: try set(try json(first), try json(second)))
        let verifier = TokenVerifier(requirements: TestIssuer.requirements, keys: keys)
        #expect(refusal(verifier, try first.token()) == nil)
        #expect(refusal(verifier, try second.token()) == .invalidSignature)
    }

    @Test(
        "a document that is no key set is refused",
        arguments: ["", "{}", "[]", "null", "{\"keys\":{}}", "{\"keys\":7}", "<html>"]
    )
    func noSet(_ text: String) {
        #expect(throws: VerificationError(.malformed)) { try KeySet(jwks: Array(text.utf8)) }
    }

    @Test("an empty set is a set")
    func empty() throws {
        #expect(try set().isEmpty)
    }
}
