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
        var reader = ClaimsReader(members)
        let claims = AccessTokenClaims(
            // RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are required.
            issuer: try ClaimsReader.required("iss", reader.text("iss")),
            subject: try ClaimsReader.required("sub", reader.text("sub")),
            audience: try ClaimsReader.required("aud", reader.oneOrMoreTexts("aud")),
            expiresAt: try ClaimsReader.required("exp", reader.integer("exp")),
            issuedAt: try ClaimsReader.required("iat", reader.integer("iat")),
            tokenID: try ClaimsReader.required("jti", reader.text("jti")),
            sessionID: try reader.text("sid"),
            clientID: try ClaimsReader.required("client_id", reader.text("client_id")),
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

/// Reads claims by name, fastest in the order of the token. A claim that is there and of another type than it must be is
/// refused, never passed over: "no `nbf`" and "an `nbf` that is not understood" are not the same.
private struct ClaimsReader {
    private let members: JSONReader.Members
    private var place = 0

    init(_ members: JSONReader.Members) {
        self.members = members
    }

    private mutating func value(_ name: String) -> JSONReader.Value? {
        members.value(name, from: &place)
    }

    static func required<T>(_ name: String, _ value: T?) throws(VerificationError) -> T {
        guard let value else { throw VerificationError(.missingClaim, claim: name) }
        return value
    }

    mutating func text(_ name: String) throws(VerificationError) -> String? {
        switch value(name) {
        case nil: return nil
        case .text(let text)? where !text.isEmpty: return text
        default: throw VerificationError(.malformed, claim: name)
        }
    }

    /// An integer. RFC 7519 §2 lets a NumericDate have a fraction; ours have none, and one integer type compares
    /// without rounding.
    mutating func integer(_ name: String) throws(VerificationError) -> Int64? {
        switch value(name) {
        case nil: return nil
        case .integer(let value)?: return value
        default: throw VerificationError(.malformed, claim: name)
        }
    }

    mutating func boolean(_ name: String) throws(VerificationError) -> Bool? {
        switch value(name) {
        case nil: return nil
        case .boolean(let value)?: return value
        default: throw VerificationError(.malformed, claim: name)
        }
    }

    mutating func texts(_ name: String) throws(VerificationError) -> [String]? {
        guard let member = value(name) else { return nil }
        return try texts(name, member)
    }

    private func texts(_ name: String, _ member: JSONReader.Value) throws(VerificationError) -> [String] {
        guard case .array(let values) = member else { throw VerificationError(.malformed, claim: name) }
        var texts: [String] = []
        for value in values {
            guard case .text(let text) = value else { throw VerificationError(.malformed, claim: name) }
            texts.append(text)
        }
        return texts
    }

    /// RFC 7519 §4.1.3: an array of strings, or one string.
    mutating func oneOrMoreTexts(_ name: String) throws(VerificationError) -> [String]? {
        switch value(name) {
        case nil: return nil
        case .text(let text)?: return [text]
        case let member?: return try texts(name, member)
        }
    }

    /// RFC 6749 §3.3: words with a space between them. First-party tokens have an empty list.
    mutating func words(_ name: String) throws(VerificationError) -> [String] {
        switch value(name) {
        case nil: return []
        case .text(let text)?: return text.isEmpty ? [] : text.split(separator: " ").map(String.init)
        default: throw VerificationError(.malformed, claim: name)
        }
    }
}
