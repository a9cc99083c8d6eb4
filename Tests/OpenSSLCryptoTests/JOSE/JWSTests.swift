import OpenSSLCrypto
import Testing

@Suite("Compact signatures")
struct JWSTests {
    static func token(header: String, payload: String = "{}", signature: [UInt8] = [1]) -> String {
        [Array(header.utf8), Array(payload.utf8), signature].map { Base64URL.encode($0) }.joined(separator: ".")
    }

    @Test("what is signed here is read here", arguments: SigningAlgorithm.allCases)
    func roundTrip(algorithm: SigningAlgorithm) throws {
        let key = try SigningKey.generate(algorithm)
        let payload = Array(#"{"sub":"someone"}"#.utf8)
        let token = try JWS.sign(payload: payload, type: "at+jwt", keyID: "key-1", key: key)
        let parsed = try JWS.parse(token)
        #expect(parsed.header.alg == algorithm.rawValue)
        #expect(parsed.header.typ == "at+jwt")
        #expect(parsed.header.kid == "key-1")
        #expect(parsed.payload == payload)
        #expect(parsed.isSigned(by: key.publicKey))
        #expect(try !parsed.isSigned(by: SigningKey.generate(algorithm).publicKey))
    }

    @Test("the header has its members in a fixed order, and escapes what JSON needs escaped")
    func header() throws {
        let key = try SigningKey.generate(.eddsa)
        let token = try JWS.sign(payload: [], type: "JWT", keyID: "a\"b\\c\n\u{1F600}", key: key)
        let header = try #require(Base64URL.decode(token.prefix { $0 != "." }))
        #expect(
            String(decoding: header, as: UTF8.self) == #"{"alg":"EdDSA","typ":"JWT","kid":"a\"b\\c\u000a😀"}"#
        )
        #expect(try JWS.parse(token).header.kid == "a\"b\\c\n\u{1F600}")
    }

    @Test("a token that names another algorithm than the key's is refused, its bytes notwithstanding")
    func confusion() throws {
        for algorithm in SigningAlgorithm.allCases {
            let key = try SigningKey.generate(algorithm)
            let others = SigningAlgorithm.allCases.filter { $0 != algorithm }.map(\.rawValue)
            for name in others + ["none", "None", "", "HS256", "RS384", "PS256", algorithm.rawValue.lowercased()] {
                // Signed by the right key, so only `alg` is wrong.
                let input = Self.token(header: #"{"alg":"\#(name)","kid":"k"}"#, signature: []).dropLast()
                let signed = input + "." + Base64URL.encode(try key.sign(Array(input.utf8)))
                #expect(!(try JWS.parse(signed)).isSigned(by: key.publicKey), "\(name) with \(algorithm)")
                #expect(!(try JWS.parse(input + ".")).isSigned(by: key.publicKey))
            }
        }
    }

    @Test("HS256 with the text of a public key as its secret is refused")
    func publicKeyAsSecret() throws {
        for algorithm in SigningAlgorithm.allCases {
            let key = try SigningKey.generate(algorithm).publicKey
            let secrets = [key.jwk.n, key.jwk.x, try key.jwk.thumbprint()].compactMap { $0 }
            for secret in secrets.flatMap({ [Array($0.utf8), Base64URL.decode($0) ?? []] }) {
                let input = Self.token(header: #"{"alg":"HS256"}"#, signature: []).dropLast()
                let code = HMACSHA256.authenticationCode(for: Array(input.utf8), key: secret)
                #expect(!(try JWS.parse(input + "." + Base64URL.encode(code))).isSigned(by: key))
            }
        }
    }

    @Test("a key offered by the token itself is never looked at")
    func embeddedKey() throws {
        let (trusted, attacker) = (try SigningKey.generate(.eddsa), try SigningKey.generate(.eddsa))
        let x = try #require(attacker.publicKey.jwk.x)
        let header = #"{"alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"\#(x)"},"jku":"https://example.com/k"}"#
        let input = Self.token(header: header, signature: []).dropLast()
        let parsed = try JWS.parse(input + "." + Base64URL.encode(try attacker.sign(Array(input.utf8))))
        #expect(!parsed.isSigned(by: trusted.publicKey))
        #expect(parsed.isSigned(by: attacker.publicKey))
    }

    @Test(
        "text that is not three parts of strict base64url is refused",
        arguments: [
            "", ".", "..", "e30.e30", "e30.e30.e30.e30", "e30.e30.AA=", "e30.e30.AB", "e30.e 0.AA", "e30\n.e30.AA",
            "e30.e30.AA\n", " e30.e30.AA", "e30.e30.A", "e31.e30.AA", "é30.e30.AA",
        ]
    )
    func malformed(token: String) {
        #expect(throws: JWSError.self) { try JWS.parse(token) }
    }

    @Test("a token longer than the limit is refused before it is read")
    func tooLong() throws {
        let head = Self.token(header: #"{"alg":"ES256"}"#, payload: "", signature: [])
        let longest = head + String(repeating: "A", count: 16_384 - head.utf8.count)
        #expect(throws: Never.self) { try JWS.parse(longest) }
        #expect(throws: JWSError.tooLong) { try JWS.parse(longest + "AAAA") }
    }

    @Test(
        "a header that is not a JSON object with a textual alg is refused",
        arguments: [
            "", "{}", "[]", "null", #""alg""#, #"{"alg"}"#, #"{"alg":}"#, #"{"alg":null}"#, #"{"alg":1}"#,
            #"{"alg":["ES256"]}"#, #"{"alg":"ES256",}"#, #"{"alg":"ES256"} x"#, #"{"alg":"ES256"}{}"#,
            #"{alg:"ES256"}"#, #"{'alg':'ES256'}"#, #"{"alg":"ES256""#, #"{"alg":"ES256}"#, #"{"alg":"ES256","kid":7}"#,
            #"{"alg":"ES256","typ":null}"#, #"{"alg":"\uD800"}"#, #"{"alg":"\x"}"#, #"{"alg":"ES256","x":01}"#,
            #"{"alg":"ES256","x":1.}"#, #"{"alg":"ES256","x":-}"#, #"{"alg":"ES256","x":nul}"#, "{\"alg\":\"E\nS\"}",
            #"{"alg":"ES256","x":[1,]}"#, #"{"alg":"ES256","x":{"y"}}"#, #"{"alg":"ES256" "x":1}"#,
            #"{"ALG":"ES256"}"#, #"{"alg":"ES256","x":[[[[[[[[[[1]]]]]]]]]]}"#,
        ]
    )
    func badHeaders(header: String) {
        #expect(throws: JWSError.invalidHeader) { try JWS.parse(Self.token(header: header)) }
    }

    @Test("a header that is not UTF-8 is refused")
    func notUTF8() {
        let header = Array(#"{"alg":""#.utf8) + [0xFF] + Array(#""}"#.utf8)
        #expect(throws: JWSError.invalidHeader) { try JWS.parse(Base64URL.encode(header) + ".e30.AA") }
    }

    @Test("unknown members of any form are passed over, white space is allowed")
    func goodHeaders() throws {
        let header = """
             {\t"x" : {"alg":"none","y":[1,-2.5e+3,true,false,null,{}]} ,\r\n \
            "alg" : "\\u0045S256" , "kid":"\\ud83d\\ude00\\/" }
            """
        let parsed = try JWS.parse(Self.token(header: header)).header
        #expect(parsed.alg == "ES256")
        #expect(parsed.kid == "😀/")
        #expect(parsed.typ == nil)
    }

    @Test(
        "a member that appears twice is refused, however it is written",
        arguments: [
            #"{"alg":"ES256","alg":"ES256"}"#, #"{"alg":"ES256","\u0061lg":"none"}"#,
            #"{"alg":"ES256","x":1,"x":1}"#, #"{"kid":"a","alg":"ES256","kid":"b"}"#,
        ]
    )
    func duplicates(header: String) {
        let error = #expect(throws: JWSError.self) { try JWS.parse(Self.token(header: header)) }
        guard case .duplicateMember = error else {
            Issue.record("unexpected error \(String(describing: error))")
            return
        }
    }

    @Test(
        "members that change how a token is read are refused",
        arguments: [
            ("crit", #"["exp"]"#), ("crit", "[]"), ("crit", #"["b64"]"#), ("b64", "false"), ("b64", "true"),
            ("enc", #""A256GCM""#), ("zip", #""DEF""#),
        ]
    )
    func unsupported(member: String, value: String) {
        #expect(throws: JWSError.unsupportedMember(member)) {
            try JWS.parse(Self.token(header: #"{"alg":"ES256","\#(member)":\#(value)}"#))
        }
    }
}
