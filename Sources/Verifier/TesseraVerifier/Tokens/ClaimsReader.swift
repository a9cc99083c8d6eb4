// Reads a token's claims in one pass, without a tree. The signature has been verified, so it refuses only an issuer's
// mistakes and tokens for another purpose.
import StrictJSON

extension AccessTokenClaims {
    /// The claims in a payload.
    ///
    /// - Parameter payload: the decoded second part of the token.
    /// - Returns: the claims, and `nbf`, which only the verifier needs.
    /// - Throws: `.missingClaim` and `.malformed`, with the claim at fault.
    static func read(_ payload: [UInt8]) throws(VerificationError) -> (claims: AccessTokenClaims, notBefore: Int64?) {
        var reader = try ClaimsReader(payload)
        var (issuer, subject, tokenID, sessionID): (String?, String?, String?, String?)
        var (clientID, role, kind): (String?, String?, String?)
        var (expiresAt, issuedAt, notBefore, authenticatedAt): (Int64?, Int64?, Int64?, Int64?)
        var (userVersion, globalVersion): (Int64?, Int64?)
        var audience: [String]?
        var (scope, methods): ([String], [String]) = ([], [])
        var emailVerified: Bool?
        while let claim = try reader.next() {
            switch claim {
            case "iss": issuer = try reader.text(claim)
            case "sub": subject = try reader.text(claim)
            case "aud": audience = try reader.oneOrMoreTexts(claim)
            case "exp": expiresAt = try reader.integer(claim)
            case "iat": issuedAt = try reader.integer(claim)
            case "nbf": notBefore = try reader.integer(claim)
            case "jti": tokenID = try reader.text(claim)
            case "sid": sessionID = try reader.text(claim)
            case "client_id": clientID = try reader.text(claim)
            case "scope": scope = try reader.words(claim)
            case "role": role = try reader.text(claim)
            case "kind": kind = try reader.text(claim)
            case "ver": userVersion = try reader.integer(claim)
            case "gver": globalVersion = try reader.integer(claim)
            case "amr": methods = try reader.texts(claim)
            case "auth_time": authenticatedAt = try reader.integer(claim)
            case "email_verified": emailVerified = try reader.boolean(claim)
            default: try reader.skip()
            }
        }
        let claims = AccessTokenClaims(
            // RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are required.
            issuer: try required("iss", issuer),
            subject: try required("sub", subject),
            audience: try required("aud", audience),
            expiresAt: try required("exp", expiresAt),
            issuedAt: try required("iat", issuedAt),
            tokenID: try required("jti", tokenID),
            sessionID: sessionID,
            clientID: try required("client_id", clientID),
            scope: scope,
            role: role,
            kind: kind,
            userVersion: userVersion,
            globalVersion: globalVersion,
            authenticationMethods: methods,
            authenticatedAt: authenticatedAt,
            emailVerified: emailVerified
        )
        return (claims, notBefore)
    }

    private static func required<T>(_ name: String, _ value: T?) throws(VerificationError) -> T {
        guard let value else { throw VerificationError(.missingClaim, claim: name) }
        return value
    }
}

extension JSONLimits {
    /// Our deepest claim is an array of strings, and our tokens have some twenty claims.
    static let claims = JSONLimits(depth: 8, members: 64)
}

/// A claim of the wrong type is refused, not ignored: an unreadable `nbf` is not a missing one.
private struct ClaimsReader: ~Copyable {
    private var scanner: JSONScanner

    init(_ payload: [UInt8]) throws(VerificationError) {
        scanner = JSONScanner(payload, limits: .claims)
        guard case .beginObject = try event() else { throw VerificationError(.malformed) }
    }

    /// `nil` after the last claim.
    mutating func next() throws(VerificationError) -> String? {
        if case .name(let name) = try event() { return scanner.string(name) }
        guard case .end = try event() else { throw VerificationError(.malformed) }
        return nil
    }

    mutating func skip() throws(VerificationError) {
        let event = try event()
        do {
            try scanner.skip(event)
        } catch {
            throw VerificationError(.malformed)
        }
    }

    mutating func text(_ name: String) throws(VerificationError) -> String {
        guard case .string(let text) = try event(), !text.isEmpty else {
            throw VerificationError(.malformed, claim: name)
        }
        return scanner.string(text)
    }

    /// RFC 7519 §2 allows fractions in a NumericDate. Ours have none, and integers compare without rounding.
    mutating func integer(_ name: String) throws(VerificationError) -> Int64 {
        guard case .number(let number) = try event(), let value = scanner.integer(number) else {
            throw VerificationError(.malformed, claim: name)
        }
        return value
    }

    mutating func boolean(_ name: String) throws(VerificationError) -> Bool {
        guard case .boolean(let value) = try event() else { throw VerificationError(.malformed, claim: name) }
        return value
    }

    mutating func texts(_ name: String) throws(VerificationError) -> [String] {
        guard case .beginArray = try event() else { throw VerificationError(.malformed, claim: name) }
        return try restOfTexts(name)
    }

    /// RFC 7519 §4.1.3: an array of strings, or one string.
    mutating func oneOrMoreTexts(_ name: String) throws(VerificationError) -> [String] {
        switch try event() {
        case .string(let text): return [scanner.string(text)]
        case .beginArray: return try restOfTexts(name)
        default: throw VerificationError(.malformed, claim: name)
        }
    }

    /// RFC 6749 §3.3: words separated by a space. First-party tokens have an empty list.
    mutating func words(_ name: String) throws(VerificationError) -> [String] {
        guard case .string(let text) = try event() else { throw VerificationError(.malformed, claim: name) }
        return text.isEmpty ? [] : scanner.string(text).split(separator: " ").map(String.init)
    }

    private mutating func restOfTexts(_ name: String) throws(VerificationError) -> [String] {
        var texts: [String] = []
        while true {
            switch try event() {
            case .string(let text): texts.append(scanner.string(text))
            case .endArray: return texts
            default: throw VerificationError(.malformed, claim: name)
            }
        }
    }

    private mutating func event() throws(VerificationError) -> JSONEvent {
        do {
            return try scanner.next()
        } catch {
            throw VerificationError(.malformed)
        }
    }
}
