// JSON Web Keys (RFC 7517), reduced to public keys for signatures.

/// A public key. Integers and points are base64url text, as on the wire.
package struct JWK: Sendable, Equatable {
    package var kty: String
    package var crv: String?
    package var x: String?
    package var y: String?
    package var n: String?
    package var e: String?
    package var alg: String?
    package var use: String?
    /// An alternative to `use` (RFC 7517 §4.3).
    package var keyOperations: [String]?
    package var kid: String?
    /// Whether the JSON held private or symmetric key material. That is not stored, and such a key is refused.
    package private(set) var hasPrivateMembers = false

    package init(
        kty: String,
        crv: String? = nil,
        x: String? = nil,
        y: String? = nil,
        n: String? = nil,
        e: String? = nil,
        alg: String? = nil,
        use: String? = nil,
        keyOperations: [String]? = nil,
        kid: String? = nil
    ) {
        self.kty = kty
        self.crv = crv
        self.x = x
        self.y = y
        self.n = n
        self.e = e
        self.alg = alg
        self.use = use
        self.keyOperations = keyOperations
        self.kid = kid
    }

    /// The fingerprint of RFC 7638. It does not depend on `kid`, `use` or `alg`.
    package func thumbprint() throws(CryptoError) -> String {
        let members: [(String, String?)]
        // §3.2: the required members in lexicographic order, without spaces.
        switch kty {
        case "EC": members = [("crv", crv), ("kty", kty), ("x", x), ("y", y)]
        case "OKP": members = [("crv", crv), ("kty", kty), ("x", x)]
        case "RSA": members = [("e", e), ("kty", kty), ("n", n)]
        default: throw .unsupportedAlgorithm
        }
        var text: [String] = []
        for (name, value) in members {
            guard let value, value.utf8.allSatisfy(Self.needsNoEscape) else {
                throw .invalidKey(reason: "\(name) is missing or malformed")
            }
            text.append("\"\(name)\":\"\(value)\"")
        }
        return Base64URL.encode(SHA256.digest(Array("{\(text.joined(separator: ","))}".utf8)))
    }

    /// Curve names and base64url text: letters, digits, `-` and `_`.
    private static func needsNoEscape(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}

extension JWK: Codable {
    private enum CodingKeys: String, CodingKey {
        case kty, crv, x, y, n, e, alg, use, kid
        case keyOperations = "key_ops"
    }

    /// Members that must never be in a published key (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
    private enum PrivateKeys: String, CodingKey, CaseIterable {
        case d, p, q, dp, dq, qi, oth, k
    }

    package init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        kty = try members.decode(String.self, forKey: .kty)
        crv = try members.decodeIfPresent(String.self, forKey: .crv)
        x = try members.decodeIfPresent(String.self, forKey: .x)
        y = try members.decodeIfPresent(String.self, forKey: .y)
        n = try members.decodeIfPresent(String.self, forKey: .n)
        e = try members.decodeIfPresent(String.self, forKey: .e)
        alg = try members.decodeIfPresent(String.self, forKey: .alg)
        use = try members.decodeIfPresent(String.self, forKey: .use)
        keyOperations = try members.decodeIfPresent([String].self, forKey: .keyOperations)
        kid = try members.decodeIfPresent(String.self, forKey: .kid)
        let secrets = try decoder.container(keyedBy: PrivateKeys.self)
        hasPrivateMembers = PrivateKeys.allCases.contains(where: secrets.contains)
    }

    package func encode(to encoder: any Encoder) throws {
        var members = encoder.container(keyedBy: CodingKeys.self)
        try members.encode(kty, forKey: .kty)
        try members.encodeIfPresent(crv, forKey: .crv)
        try members.encodeIfPresent(x, forKey: .x)
        try members.encodeIfPresent(y, forKey: .y)
        try members.encodeIfPresent(n, forKey: .n)
        try members.encodeIfPresent(e, forKey: .e)
        try members.encodeIfPresent(alg, forKey: .alg)
        try members.encodeIfPresent(use, forKey: .use)
        try members.encodeIfPresent(keyOperations, forKey: .keyOperations)
        try members.encodeIfPresent(kid, forKey: .kid)
    }
}

/// A private key in JSON, for import and for the RFCs' examples. It cannot be encoded.
package struct PrivateJWK: Sendable, Decodable {
    let publicMembers: JWK
    let d, p, q, dp, dq, qi: String?

    private enum CodingKeys: String, CodingKey { case d, p, q, dp, dq, qi }

    package init(from decoder: any Decoder) throws {
        let all = try JWK(from: decoder)
        publicMembers = JWK(
            kty: all.kty,
            crv: all.crv,
            x: all.x,
            y: all.y,
            n: all.n,
            e: all.e,
            alg: all.alg,
            use: all.use,
            kid: all.kid
        )
        let members = try decoder.container(keyedBy: CodingKeys.self)
        d = try members.decodeIfPresent(String.self, forKey: .d)
        p = try members.decodeIfPresent(String.self, forKey: .p)
        q = try members.decodeIfPresent(String.self, forKey: .q)
        dp = try members.decodeIfPresent(String.self, forKey: .dp)
        dq = try members.decodeIfPresent(String.self, forKey: .dq)
        qi = try members.decodeIfPresent(String.self, forKey: .qi)
    }
}
