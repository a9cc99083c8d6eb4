// From the payload of a token to its claims, in one pass and without a tree in between. Only payloads whose signature
// was right come here. What this refuses is an issuer's mistake, or a token that the issuer made for something else.
import StrictJSON

extension AccessTokenClaims {
    /// The claims in a payload.
    ///
    /// - Parameter payload: the decoded second part of the token.
    /// - Returns: the claims, and `nbf` where the token has one: it is for the verifier alone.
    /// - Throws: `.missingClaim` and `.malformed`, with the name of the claim where one is at fault.
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
    /// No claim of ours is deeper than an array of strings, and a token of ours has some twenty.
    static let claims = JSONLimits(depth: 8, members: 64)
}

/// Reads claims as they come. A claim that is there and of another type than it must be is refused, never passed over:
/// "no `nbf`" and "an `nbf` that is not understood" are not the same.
private struct ClaimsReader: ~Copyable {
    private var scanner: JSONScanner

    init(_ payload: [UInt8]) throws(VerificationError) {
        scanner = JSONScanner(payload, limits: .claims)
        guard case .beginObject = try event() else { throw VerificationError(.malformed) }
    }

    /// The next claim's name; `nil` after the last one.
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

    /// An integer. RFC 7519 §2 lets a NumericDate have a fraction; ours have none, and one integer type compares
    /// without rounding.
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

    /// RFC 6749 §3.3: words with a space between them. First-party tokens have an empty list.
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
