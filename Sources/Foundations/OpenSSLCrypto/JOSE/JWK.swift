// JSON Web Keys (RFC 7517) as this service publishes and reads them: public keys for signatures, nothing else.

/// A public key in JSON. Integers and points are base64url text, as on the wire.
package struct JWK: Sendable, Equatable {
    /// `EC`, `OKP` or `RSA`.
    package var kty: String
    /// The curve of an EC or OKP key.
    package var crv: String?
    package var x: String?
    package var y: String?
    /// The modulus of an RSA key.
    package var n: String?
    /// The public exponent of an RSA key.
    package var e: String?
    /// The algorithm the key is meant for.
    package var alg: String?
    /// `sig` for keys of signatures.
    package var use: String?
    /// What the key may do, another way of saying `use` (RFC 7517 §4.3).
    package var keyOperations: [String]?
    /// How tokens name the key.
    package var kid: String?
    /// Whether the JSON held private or symmetric key material. It is not kept, and such a key is refused.
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

    /// The key's fingerprint (RFC 7638) as base64url text. It depends on the key alone, not on `kid`, `use` or `alg`.
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

// MARK: - JSON

extension JWK: Codable {
    private enum CodingKeys: String, CodingKey {
        case kty, crv, x, y, n, e, alg, use, kid
        case keyOperations = "key_ops"
    }

    /// The members of RFC 7518 §6.2.2, §6.3.2 and §6.4.1 that must never be in a published key.
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

/// A private key in JSON, for import and for the examples of the RFCs. It cannot be encoded.
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
