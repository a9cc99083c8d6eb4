// Decides whether to believe an access token, without asking anybody.
//
// From cheap to dear, and nothing of the payload is read before the signature is right: length, form, type, algorithm,
// key, signature, claims. The type keeps other JWTs of the same issuer out (RFC 8725 §3.11), the key decides the
// algorithm (§3.1), and issuer and audience say whose token it is and for whom.
import OpenSSLCrypto

/// Verifies the access tokens of one issuer for one service. Make one and share it.
public struct TokenVerifier: Sendable {
    /// SECURITY: the longest token, in bytes, that is looked at. The issuer's are under 1 KiB.
    private static let maximumLength = 8192

    private let requirements: TokenRequirements
    private let keys: any KeySource
    private let revocations: (any RevocationSource)?

    /// Makes a verifier.
    ///
    /// - Parameters:
    ///   - requirements: what every token must say.
    ///   - keys: where the issuer's public keys come from.
    ///   - revocations: asked by `verifyCurrent(_:)` about tokens that are otherwise good; without one a token stands
    ///     until it expires.
    public init(requirements: TokenRequirements, keys: any KeySource, revocations: (any RevocationSource)? = nil) {
        self.requirements = requirements
        self.keys = keys
        self.revocations = revocations
    }

    /// Verifies with the keys at hand: no I/O, no waiting, and no question to the revocation source.
    ///
    /// - Parameter token: the text of the token, without `Bearer`.
    /// - Returns: what the token says.
    /// - Throws: `.unknownKey` when no key at hand has the token's `kid`, `.keysUnavailable` when there is no key at
    ///   all, and other codes for a token that will never be good.
    public func verify(_ token: String) throws(VerificationError) -> AccessTokenClaims {
        try claims(of: parse(token))
    }

    /// Verifies, and if the token's key is not at hand waits for one look for it; then asks the revocation source.
    ///
    /// - Parameter token: the text of the token, without `Bearer`.
    /// - Returns: what the token says.
    /// - Throws: `VerificationError`; or whatever a source throws that cannot tell, unchanged.
    public func verifyCurrent(_ token: String) async throws -> AccessTokenClaims {
        let parsed = try parse(token)
        let claims: AccessTokenClaims
        do throws(VerificationError) {
            claims = try self.claims(of: parsed)
        } catch {
            guard error.code == .unknownKey || error.code == .keysUnavailable else { throw error }
            try await keys.refresh(afterUnknownKeyID: parsed.keyID)
            claims = try self.claims(of: parsed)
        }
        try await revocations?.check(claims)
        return claims
    }

    /// A token of the right form, not yet believed.
    private struct Candidate {
        let jws: ParsedJWS
        let algorithm: SigningAlgorithm
        let keyID: String
    }

    private func parse(_ token: String) throws(VerificationError) -> Candidate {
        guard token.utf8.count <= Self.maximumLength, let jws = try? JWS.parse(token), let keyID = jws.header.kid else {
            throw VerificationError(.malformed)
        }
        // RFC 9068 §4; RFC 7515 §4.1.9: a media type, so case does not count and `application/` may be left out.
        switch jws.header.typ?.lowercased() {
        case "at+jwt", "application/at+jwt": break
        default: throw VerificationError(.wrongType)
        }
        // SECURITY: `none`, `None`, HS256: there is no key that they could be right for, so none is looked for.
        guard let algorithm = SigningAlgorithm(rawValue: jws.header.alg) else {
            throw VerificationError(.unsupportedAlgorithm)
        }
        return Candidate(jws: jws, algorithm: algorithm, keyID: keyID)
    }

    private func claims(of candidate: Candidate) throws(VerificationError) -> AccessTokenClaims {
        let known = keys.snapshot()
        guard let key = known[candidate.keyID] else {
            throw VerificationError(known.isEmpty ? .keysUnavailable : .unknownKey)
        }
        guard key.algorithm == candidate.algorithm else { throw VerificationError(.algorithmMismatch) }
        guard candidate.jws.isSigned(by: key) else { throw VerificationError(.invalidSignature) }
        let (claims, notBefore) = try AccessTokenClaims.read(candidate.jws.payload)
        try requirements.check(claims, notBefore: notBefore)
        return claims
    }
}
