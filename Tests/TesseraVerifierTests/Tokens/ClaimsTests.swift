import TesseraVerifier
import Testing

@Suite("Claims")
struct ClaimsTests {
    private func outcome(_ payload: String) throws -> VerificationError? {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        do throws(VerificationError) {
            _ = try verifier.verify(try token(issuer, payload))
            return nil
        } catch {
            return error
        }
    }

    private func token(_ issuer: TestIssuer, _ payload: String) throws(VerificationError) -> String {
        do {
            return try issuer.token(payload: payload)
        } catch {
            Issue.record(error)
            throw VerificationError(.malformed)
        }
    }

    @Test("each required claim is required", arguments: ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"])
    func required(_ claim: String) throws {
        let error = try #require(try outcome(TestIssuer.payload([claim: nil])))
        #expect(error.code == .missingClaim)
        #expect(error.claim == claim)
        #expect(error.description.contains(claim))
    }

    @Test(
        "the others are not",
        arguments: ["sid", "scope", "role", "kind", "ver", "gver", "amr", "auth_time", "email_verified"]
    )
    func optional(_ claim: String) throws {
        #expect(try outcome(TestIssuer.payload([claim: nil])) == nil)
    }

    @Test(
        "a claim of another type is refused, and so is null",
        arguments: [
            "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "client_id", "scope", "role", "kind", "ver", "gver",
            "amr", "auth_time", "email_verified",
        ],
        ["null", "{}", "[1]", "1.5"]
    )
    func types(_ claim: String, _ value: String) throws {
        let error = try #require(try outcome(TestIssuer.payload([claim: value])))
        #expect(error.code == .malformed)
        #expect(error.claim == claim)
    }

    @Test(
        "a time is an integer and nothing that looks like one",
        arguments: ["1.0", "1e3", "1800000600.0", "\"1800000600\"", "1E9", "true", "99999999999999999999"]
    )
    func dates(_ value: String) throws {
        for claim in ["exp", "iat", "nbf", "auth_time"] {
            #expect(try outcome(TestIssuer.payload([claim: value]))?.code == .malformed)
        }
    }

    @Test("a member that appears twice is refused, at any depth and however it is spelled")
    func duplicates() throws {
        let rest = TestIssuer.payload().dropFirst()
        #expect(try outcome("{\"sub\":\"user-2\",\(rest)")?.code == .malformed)
        #expect(try outcome("{\"s\\u0075b\":\"user-2\",\(rest)")?.code == .malformed)
        #expect(try outcome("{\"x\":{\"a\":1,\"a\":1},\(rest)")?.code == .malformed)
        #expect(try outcome("{\"x\":{\"a\":1,\"b\":1},\(rest)") == nil)
        // Two names, though they look the same (RFC 8259 §8.3).
        #expect(try outcome("{\"x\":{\"\u{E9}\":1,\"e\u{301}\":1},\(rest)") == nil)
        #expect(try outcome("{\"x\":{\"\u{E9}\":1,\"\\u00e9\":1},\(rest)")?.code == .malformed)
    }

    @Test(
        "what is not one JSON object is refused",
        arguments: [
            "", "null", "[]", "\"text\"", "7", "{", "{}}", "{}{}", "{,}", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{'a':1}",
            "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":-}", "{\"a\":NaN}",
            "{\"a\":tru}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\\ud800\"}",
            "{\"a\":\"\n\"}", "{\"a\":\"", "{\"a\":[1,]}", "{\"a\":[1 2]}", "{\"a\":1}//", "\u{FEFF}{}",
        ]
    )
    func malformed(_ payload: String) throws {
        let error = try #require(try outcome(payload))
        #expect(error.code == .malformed)
        #expect(error.claim == nil)
    }

    @Test("JSON's liberties are taken as they are meant")
    func liberties() throws {
        let spaced = " {\t\"x\" :\r\n [ 1 , -0 , 1.5e+3 , true , false , null , { } , [ ] ] ,"
        #expect(try outcome(spaced + TestIssuer.payload().dropFirst() + " \n") == nil)

        let issuer = try TestIssuer()
        let token = try issuer.token(["sub": #""\u0061\"\\\/\b\f\n\r\t\ud83d\udca5é""#])
        #expect(try verifier(trusting: issuer).verify(token).subject == "a\"\\/\u{8}\u{c}\n\r\t💥é")
    }

    @Test("deep nesting is refused without exhausting the stack")
    func nesting() throws {
        let rest = TestIssuer.payload().dropFirst()
        func nested(_ depth: Int) -> String {
            "{\"x\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + ",\(rest)"
        }
        #expect(try outcome(nested(7)) == nil)
        #expect(try outcome(nested(8))?.code == .malformed)
        #expect(try outcome("{\"x\":" + String(repeating: "[", count: 5000))?.code == .malformed)
    }
}
