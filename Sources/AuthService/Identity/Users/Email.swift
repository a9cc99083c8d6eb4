import DomainNames
package import ServiceKit

package struct Email: Sendable, Hashable {
    /// As typed, trimmed: the address for mail.
    package let address: String
    /// NFC and lower case, as in `users.email_key`. One key is one user.
    package let key: String
    /// What an earlier program made of the address: `key` for nearly every one.
    let typedKey: String
    /// What `users.email_key` may hold for the user, by precedence: as typed, as computed today, with the domain in
    /// Unicode. Nearly every address has one.
    let lookupKeys: [String]
    /// Whether the domain is one that can be. A user of an earlier program may have another.
    package let isPossible: Bool

    /// Accepts `local@domain` of at most 254 bytes (RFC 5321 §4.5.3.1.3 less the brackets).
    static let maxBytes = 254

    /// Accepts `local@domain` of at most 254 bytes, `nil` otherwise.
    ///
    /// Narrower than RFC 5321: no quoted local parts, address literals or comments, which two readers may parse
    /// differently. Internationalised addresses (RFC 6531) are accepted.
    package init?(_ text: RequestText) {
        let trimmed = text.trimmed
        guard (3...Self.maxBytes).contains(trimmed.byteCount) else { return nil }
        let parts = trimmed.pieces(between: "@", omittingEmpty: false)
        guard parts.count == 2, Self.isLocal(parts[0]), !parts[1].isEmpty else { return nil }
        let typed = LookupKey.of(trimmed)
        address = trimmed.verbatim
        guard let domain = DomainName.ascii(parts[1].verbatim) else {
            guard Self.isTypedDomain(parts[1]) else { return nil }
            (key, typedKey, lookupKeys, isPossible) = (typed, typed, [typed], false)
            return
        }
        guard Self.isDomain(RequestText(domain)) else { return nil }
        let local = parts[0].verbatim
        let key = LookupKey.of(RequestText("\(local)@")) + domain
        let unicode = LookupKey.of(RequestText("\(local)@\(DomainName.unicode(domain) ?? domain)"))
        self.key = key
        typedKey = typed
        var keys = [typed]
        for other in [key, unicode] where !keys.contains(other) { keys.append(other) }
        lookupKeys = keys
        isPossible = true
    }

    /// Also for the prefix of an address.
    package init?(_ text: String) {
        self.init(RequestText(text))
    }

    private static func isLocal(_ part: RequestText) -> Bool {
        guard (1...64).contains(part.byteCount),
            part.pieces(between: ".", omittingEmpty: false).allSatisfy({ !$0.isEmpty })
        else { return false }
        return part.unicodeScalars.allSatisfy { scalar in
            if scalar.isASCII {
                return scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || "!#$%&'*+/=?^_`{|}~.-".unicodeScalars.contains(scalar)
            }
            return isPrintable(scalar)
        }
    }

    /// Two labels or more, of letters, digits and hyphens.
    private static func isDomain(_ domain: RequestText) -> Bool {
        isTypedDomain(domain) && domain.utf8.allSatisfy { $0 < 0x80 }
    }

    /// The same, in any script.
    private static func isTypedDomain(_ domain: RequestText) -> Bool {
        let labels = domain.pieces(between: ".", omittingEmpty: false)
        return labels.count >= 2
            && labels.allSatisfy { label in
                (1...63).contains(label.byteCount) && !label.begins(with: "-") && label.utf8.last != UInt8(ascii: "-")
                    && label.unicodeScalars.allSatisfy { scalar in
                        scalar.isASCII
                            ? scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-"
                            : isPrintable(scalar)
                    }
            }
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }
}
