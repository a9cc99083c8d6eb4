// Compact JSON Web Signatures (RFC 7515 §3.1): header.payload.signature, each in base64url.
//
// A token is read in two steps. `parse` checks its form and yields what it claims; `isSigned(by:)` decides whether
// to believe it. The reader picks the key by `kid` from keys it trusts already. What else a header may offer as a
// key (`jwk`, `jku`, `x5c`, `x5u`) is never looked at, and `alg` must be the one the key is for (RFC 8725 §3.1).

/// Why text is not a token that this service reads.
package enum JWSError: Error, Sendable, Equatable {
    /// Longer than `JWS.maximumLength`.
    case tooLong
    /// Not three parts in strict base64url.
    case malformed
    /// The header is not a JSON object with an `alg`, or its `alg`, `typ` or `kid` is not text.
    case invalidHeader
    /// A member appears twice, so that two readers could see two headers (RFC 7515 §4).
    case duplicateMember(String)
    /// A header member changes how the token is to be read in a way that is not understood here.
    case unsupportedMember(String)
}

/// Compact JSON Web Signatures.
package enum JWS {
    /// The longest token that is read, in bytes. Ours stay under 1 KiB; HTTP servers end a header near 16 KiB.
    package static let maximumLength = 16_384

    /// Signs a payload.
    ///
    /// `payload`: any bytes; the claims of a JWT as JSON.
    /// `type`: the header's `typ`, for example `at+jwt`.
    /// `keyID`: the header's `kid`.
    package static func sign(
        payload: [UInt8],
        type: String,
        keyID: String,
        key: SigningKey
    ) throws(CryptoError) -> String {
        try JWSSigner(type: type, keyID: keyID, key: key).sign(payload)
    }

    /// Reads the form of a token. Nothing in the result is to be believed before `isSigned(by:)`.
    package static func parse(_ token: some StringProtocol) throws(JWSError) -> ParsedJWS {
        try parse(utf8: Array(token.utf8))
    }

    /// Reads the form of a token given as UTF-8.
    package static func parse(utf8 token: [UInt8]) throws(JWSError) -> ParsedJWS {
        guard token.count <= maximumLength else { throw .tooLong }
        let parts = token.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard
            parts.count == 3,
            let header = Base64URL.decode(utf8: parts[0]),
            let payload = Base64URL.decode(utf8: parts[1]),
            let signature = Base64URL.decode(utf8: parts[2])
        else { throw .malformed }
        return ParsedJWS(
            header: try JWSHeader(json: header),
            payload: payload,
            signingInput: Array(token[..<(parts[2].startIndex - 1)]),
            signature: signature
        )
    }
}

/// A key and the header of the tokens it signs, written once for all of them.
package struct JWSSigner: Sendable {
    private let key: SigningKey
    /// The header in base64url, and the dot behind it.
    private let header: [UInt8]

    /// `type`: the header's `typ`, for example `at+jwt`.
    /// `keyID`: the header's `kid`.
    package init(type: String, keyID: String, key: SigningKey) {
        self.key = key
        let header = JWSHeader(alg: key.algorithm.rawValue, typ: type, kid: keyID)
        self.header = Array(Base64URL.encode(header.json).utf8) + [UInt8(ascii: ".")]
    }

    /// Signs a payload: any bytes; the claims of a JWT as JSON.
    package func sign(_ payload: [UInt8]) throws(CryptoError) -> String {
        var token = header
        // Room for all three parts; an RSA signature will grow it once more.
        token.reserveCapacity(header.count + (payload.count + 64) * 4 / 3 + 8)
        Base64URL.append(payload, to: &token)
        let signature = try key.sign(token)
        token.append(UInt8(ascii: "."))
        Base64URL.append(signature, to: &token)
        return String(decoding: token, as: UTF8.self)
    }
}

/// The parts of a token, not yet believed.
package struct ParsedJWS: Sendable {
    package let header: JWSHeader
    package let payload: [UInt8]
    /// What was signed: the ASCII text of header and payload (RFC 7515 §5.2 step 8).
    package let signingInput: [UInt8]
    package let signature: [UInt8]

    /// Whether the token was signed with the private half of `key`.
    package func isSigned(by key: VerificationKey) -> Bool {
        // SECURITY: the key decides the algorithm. A token that says `none`, or HS256 with a public key as the
        // secret, finds no key that agrees (RFC 8725 §2.1).
        header.alg == key.algorithm.rawValue && key.isValid(signature: signature, for: signingInput)
    }
}
