import StrictJSON

/// A token's header (RFC 7515 §4).
package struct JWSHeader: Sendable, Equatable {
    package let alg: String
    package let typ: String?
    package let kid: String?

    init(alg: String, typ: String?, kid: String?) {
        self.alg = alg
        self.typ = typ
        self.kid = kid
    }

    /// SECURITY: a header is read before its sender is known. Ours have three members.
    private static let limits = JSONLimits(depth: 8, members: 64)
    /// Bytes of a member that is read, with its escapes. A text is compared only if it is within them: the cost of
    /// comparing Unicode does not grow linearly.
    private static let maxText = 4096
    /// The longest name that is known has four letters, and an escape of a letter has six bytes (RFC 8259 §7).
    private static let maxName = 24

    /// Ignores other members, as §4 requires.
    init(json: [UInt8]) throws(JWSError) {
        var scanner = JSONScanner(json, limits: Self.limits)
        var (alg, typ, kid): (String?, String?, String?)
        guard case .beginObject = try Self.next(&scanner) else { throw .invalidHeader }
        while case .name(let text) = try Self.next(&scanner) {
            let name = text.range.count <= Self.maxName ? scanner.string(text) : ""
            switch name {
            case "alg": alg = try Self.text(&scanner)
            case "typ": typ = try Self.text(&scanner)
            case "kid": kid = try Self.text(&scanner)
            // These change the meaning of the rest. `crit` lists extensions that must be understood (§4.1.11), and none
            // is. `b64` (RFC 7797) drops the payload's encoding; `enc` and `zip` belong to encrypted tokens (RFC 7516).
            case "crit", "b64", "enc", "zip": throw .unsupportedMember(name)
            default: try Self.skip(&scanner)
            }
        }
        guard case .end = try Self.next(&scanner), let alg else { throw .invalidHeader }
        self.init(alg: alg, typ: typ, kid: kid)
    }

    private static func next(_ scanner: inout JSONScanner) throws(JWSError) -> JSONEvent {
        do {
            return try scanner.next()
        } catch {
            throw JWSError(error)
        }
    }

    private static func text(_ scanner: inout JSONScanner) throws(JWSError) -> String {
        guard case .string(let text) = try next(&scanner), text.range.count <= maxText else { throw .invalidHeader }
        return scanner.string(text)
    }

    private static func skip(_ scanner: inout JSONScanner) throws(JWSError) {
        do {
            try scanner.skip(scanner.next())
        } catch {
            throw JWSError(error)
        }
    }

    /// Members in the order alg, typ, kid.
    var json: [UInt8] {
        let members: [(String, String?)] = [("alg", alg), ("typ", typ), ("kid", kid)]
        let written = members.compactMap { name, value in value.map { "\"\(name)\":\(Self.quoted($0))" } }
        return Array("{\(written.joined(separator: ","))}".utf8)
    }

    /// RFC 8259 §7: escapes the quotation mark, the reverse solidus and control characters.
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

extension JWSError {
    fileprivate init(_ error: JSONSyntaxError) {
        if case .duplicateName(let name) = error.reason {
            self = .duplicateMember(name)
        } else {
            self = .invalidHeader
        }
    }
}
