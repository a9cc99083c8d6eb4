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

    /// Members that make the rest mean something else: `crit` lists extensions that must be understood (§4.1.11)
    /// and none is, `b64` (RFC 7797) takes the payload's encoding away, and `enc` and `zip` belong to encrypted
    /// tokens (RFC 7516).
    private static let refused: Set<String> = ["crit", "b64", "enc", "zip"]

    /// Reads a header from UTF-8. Other members are passed over, as §4 asks.
    init(json: [UInt8]) throws(JWSError) {
        var reader = JSONObjectReader(json)
        var seen: Set<String> = []
        var texts: [String: String] = [:]
        while let (name, text) = try reader.nextMember() {
            guard seen.insert(name).inserted else { throw .duplicateMember(name) }
            guard !Self.refused.contains(name) else { throw .unsupportedMember(name) }
            guard name == "alg" || name == "typ" || name == "kid" else { continue }
            guard let text else { throw .invalidHeader }
            texts[name] = text
        }
        guard let alg = texts["alg"] else { throw .invalidHeader }
        self.init(alg: alg, typ: texts["typ"], kid: texts["kid"])
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
