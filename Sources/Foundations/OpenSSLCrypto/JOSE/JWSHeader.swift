// The header of a token (RFC 7515 §4).

/// What a header says about how the token was signed.
package struct JWSHeader: Sendable, Equatable {
    /// The algorithm that the signer claims.
    package let alg: String
    /// The kind of token, as written.
    package let typ: String?
    /// The name of the signer's key.
    package let kid: String?

    init(alg: String, typ: String?, kid: String?) {
        self.alg = alg
        self.typ = typ
        self.kid = kid
    }

    /// SECURITY: each member's name is compared with all before it. A header of ours has three.
    private static let maximumMembers = 32

    /// Reads a header from UTF-8. Other members are passed over, as §4 asks.
    init(json: [UInt8]) throws(JWSError) {
        var reader = JSONObjectReader(json)
        var seen: [String] = []
        seen.reserveCapacity(4)
        var (alg, typ, kid): (String?, String?, String?)
        while let (name, text) = try reader.nextMember() {
            guard !seen.contains(name) else { throw .duplicateMember(name) }
            guard seen.count < Self.maximumMembers else { throw .invalidHeader }
            seen.append(name)
            switch name {
            case "alg": alg = try Self.required(text)
            case "typ": typ = try Self.required(text)
            case "kid": kid = try Self.required(text)
            // These make the rest mean something else: `crit` lists extensions that must be understood (§4.1.11) and
            // none is, `b64` (RFC 7797) takes the payload's encoding away, `enc` and `zip` belong to encrypted tokens
            // (RFC 7516).
            case "crit", "b64", "enc", "zip": throw .unsupportedMember(name)
            default: break
            }
        }
        guard let alg else { throw .invalidHeader }
        self.init(alg: alg, typ: typ, kid: kid)
    }

    private static func required(_ text: String?) throws(JWSError) -> String {
        guard let text else { throw .invalidHeader }
        return text
    }

    /// The header as JSON, members in the order alg, typ, kid.
    var json: [UInt8] {
        let members: [(String, String?)] = [("alg", alg), ("typ", typ), ("kid", kid)]
        let written = members.compactMap { name, value in value.map { "\"\(name)\":\(Self.quoted($0))" } }
        return Array("{\(written.joined(separator: ","))}".utf8)
    }

    /// RFC 8259 §7: quotation mark, reverse solidus and control characters are escaped.
    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\" + String(scalar)
            case "\u{0}"..."\u{1F}": out += "\\u00" + Hex.encode([UInt8(scalar.value)])
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
