// From the payload of a token to its claims. Only payloads whose signature was right come here, so what this refuses
// is an issuer's mistake, or a token that the issuer made for something else.

extension AccessTokenClaims {
    /// The claims in a payload.
    ///
    /// - Parameter payload: the decoded second part of the token.
    /// - Returns: the claims, and `nbf` where the token has one: it is for the verifier alone.
    /// - Throws: `.missingClaim` and `.malformed`, with the name of the claim where one is at fault.
    static func read(_ payload: [UInt8]) throws(VerificationError) -> (claims: AccessTokenClaims, notBefore: Int64?) {
        guard let members = JSONReader.object(payload) else { throw VerificationError(.malformed) }
        let reader = ClaimsReader(members: members)
        let claims = AccessTokenClaims(
            // RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are required.
            issuer: try reader.required("iss", reader.text),
            subject: try reader.required("sub", reader.text),
            audience: try reader.required("aud", reader.oneOrMoreTexts),
            expiresAt: try reader.required("exp", reader.integer),
            issuedAt: try reader.required("iat", reader.integer),
            tokenID: try reader.required("jti", reader.text),
            sessionID: try reader.text("sid"),
            clientID: try reader.required("client_id", reader.text),
            scope: try reader.words("scope"),
            role: try reader.text("role"),
            kind: try reader.text("kind"),
            userVersion: try reader.integer("ver"),
            globalVersion: try reader.integer("gver"),
            authenticationMethods: try reader.texts("amr") ?? [],
            authenticatedAt: try reader.integer("auth_time"),
            emailVerified: try reader.boolean("email_verified")
        )
        return (claims, try reader.integer("nbf"))
    }
}

/// Reads claims by name. A claim that is there and of another type than it must be is refused, never passed over:
/// "no `nbf`" and "an `nbf` that is not understood" are not the same.
private struct ClaimsReader {
    let members: [String: JSONReader.Value]

    func required<T>(
        _ name: String,
        _ read: (String) throws(VerificationError) -> T?
    ) throws(VerificationError) -> T {
        guard let value = try read(name) else { throw VerificationError(.missingClaim, claim: name) }
        return value
    }

    func text(_ name: String) throws(VerificationError) -> String? {
        switch members[name] {
        case nil: return nil
        case .text(let text)? where !text.isEmpty: return text
        default: throw VerificationError(.malformed, claim: name)
        }
    }

    /// An integer. RFC 7519 §2 lets a NumericDate have a fraction; ours have none, and one integer type compares
    /// without rounding.
    func integer(_ name: String) throws(VerificationError) -> Int64? {
        switch members[name] {
        case nil: return nil
        case .integer(let value)?: return value
        default: throw VerificationError(.malformed, claim: name)
        }
    }

    func boolean(_ name: String) throws(VerificationError) -> Bool? {
        switch members[name] {
        case nil: return nil
        case .boolean(let value)?: return value
        default: throw VerificationError(.malformed, claim: name)
        }
    }

    func texts(_ name: String) throws(VerificationError) -> [String]? {
        guard let member = members[name] else { return nil }
        guard case .array(let values) = member else { throw VerificationError(.malformed, claim: name) }
        var texts: [String] = []
        for value in values {
            guard case .text(let text) = value else { throw VerificationError(.malformed, claim: name) }
            texts.append(text)
        }
        return texts
    }

    /// RFC 7519 §4.1.3: an array of strings, or one string.
    func oneOrMoreTexts(_ name: String) throws(VerificationError) -> [String]? {
        if case .text(let text)? = members[name] { return [text] }
        return try texts(name)
    }

    /// RFC 6749 §3.3: words with a space between them. First-party tokens have an empty list.
    func words(_ name: String) throws(VerificationError) -> [String] {
        switch members[name] {
        case nil: return []
        case .text(let text)?: return text.split(separator: " ").map(String.init)
        default: throw VerificationError(.malformed, claim: name)
        }
    }
}
