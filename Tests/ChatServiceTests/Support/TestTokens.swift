import OpenSSLCrypto
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct TestTokens: Sendable {
    static let issuer = "http://auth.test"
    static let keyID = "test-1"

    private let key: SigningKey
    private let clock: Clock

    let keySource: StaticKeys

    init(clock: Clock) throws {
        let key = try SigningKey.generate(.es256)
        self.key = key
        self.clock = clock
        self.keySource = StaticKeys(keys: KeySet([Self.keyID: key.publicKey]))
    }

    /// `changes` are members as JSON; `nil` removes one.
    func token(for user: String, _ changes: [String: String?] = [:]) throws -> String {
        try JWS.sign(payload: claims(user, changes), type: "at+jwt", keyID: Self.keyID, key: key)
    }

    /// Valid claims, signed by another key under this one's name.
    func forged(for user: String) throws -> String {
        try JWS.sign(
            payload: claims(user, [:]),
            type: "at+jwt",
            keyID: Self.keyID,
            key: SigningKey.generate(.es256)
        )
    }

    /// Valid claims without a signature.
    func unsigned(for user: String) -> String {
        let header = #"{"alg":"none","typ":"at+jwt","kid":"\#(Self.keyID)"}"#
        return Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(claims(user, [:])) + "."
    }

    private func claims(_ user: String, _ changes: [String: String?]) -> [UInt8] {
        let now = clock.now().seconds
        var members = [
            "iss": "\"\(Self.issuer)\"", "sub": "\"\(user)\"", "aud": #"["tessera","chat"]"#, "exp": "\(now + 600)",
            "iat": "\(now)", "jti": #""test""#, "sid": "\"s-\(user)\"", "client_id": #""tessera""#, "role": #""user""#,
            "kind": #""user""#, "ver": "1", "gver": "1", "amr": #"["pwd"]"#, "auth_time": "\(now)",
            "email_verified": "false",
        ]
        for (name, value) in changes { members[name] = value }
        let writer = JSONWriter.object { writer in
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                writer.member(RequestText(name), raw: value)
            }
        }
        return writer.bytes
    }
}

struct StaticKeys: KeySource {
    let keys: KeySet

    func snapshot() -> KeySet { keys }
    func refresh(afterUnknownKeyID kid: String) async throws {}
}
