// Compact JSON Web Signatures (RFC 7515 §3.1): header.payload.signature, each in base64url.
//
// `parse` checks the form and returns the claims; `isSigned(by:)` decides whether they are genuine. The caller picks
// the key by `kid` from keys that it trusts already. Keys in a header (`jwk`, `jku`, `x5c`, `x5u`) are ignored, and
// `alg` must be the key's (RFC 8725 §3.1).

package enum JWSError: Error, Sendable, Equatable {
    case tooLong
    case malformed
    case invalidHeader
    /// A member appears twice, so two readers could see two headers (RFC 7515 §4).
    case duplicateMember(String)
    /// A member changes how the token must be read, in a way that is not supported.
    case unsupportedMember(String)
}

package enum JWS {
    /// In bytes. Our tokens stay under 1 KiB; HTTP servers limit a header to about 16 KiB.
    package static let maximumLength = 16_384

    /// `type`: the header's `typ`, such as `at+jwt`. `keyID`: the header's `kid`.
    package static func sign(
        payload: [UInt8],
        type: String,
        keyID: String,
        key: SigningKey
    ) throws(CryptoError) -> String {
        try JWSSigner(type: type, keyID: keyID, key: key).sign(payload)
    }

    /// Checks the form only. Nothing in the result is genuine before `isSigned(by:)` confirms it.
    package static func parse(_ token: some StringProtocol) throws(JWSError) -> ParsedJWS {
        try parse(utf8: Array(token.utf8))
    }

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

/// A key with the header of its tokens, encoded once.
package struct JWSSigner: Sendable {
    private let key: SigningKey
    private let header: [UInt8]

    package init(type: String, keyID: String, key: SigningKey) {
        self.key = key
        let header = JWSHeader(alg: key.algorithm.rawValue, typ: type, kid: keyID)
        self.header = Array(Base64URL.encode(header.json).utf8) + [UInt8(ascii: ".")]
    }

    package func sign(_ payload: [UInt8]) throws(CryptoError) -> String {
        var token = header
        // Room for all three parts. An RSA signature grows it once more.
        token.reserveCapacity(header.count + (payload.count + 64) * 4 / 3 + 8)
        Base64URL.append(payload, to: &token)
        let signature = try key.sign(token)
        token.append(UInt8(ascii: "."))
        Base64URL.append(signature, to: &token)
        return String(decoding: token, as: UTF8.self)
    }
}

package struct ParsedJWS: Sendable {
    package let header: JWSHeader
    package let payload: [UInt8]
    /// The ASCII text of header and payload (RFC 7515 §5.2 step 8).
    package let signingInput: [UInt8]
    package let signature: [UInt8]

    package func isSigned(by key: VerificationKey) -> Bool {
        // SECURITY: the key decides the algorithm. A token with `none`, or HS256 with a public key as the secret,
        // matches no key (RFC 8725 §2.1).
        header.alg == key.algorithm.rawValue && key.isValid(signature: signature, for: signingInput)
    }
}
