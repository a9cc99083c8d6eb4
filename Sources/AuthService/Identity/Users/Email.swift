import Foundation

package struct Email: Sendable, Hashable {
    /// As typed, trimmed: the address for mail.
    package let address: String
    /// NFC and lower case, as in `users.email_key`. One key is one user.
    package let key: String

    /// Accepts `local@domain` of at most 254 bytes (RFC 5321 §4.5.3.1.3 less the brackets).
    ///
    /// Narrower than RFC 5321: no quoted local parts, address literals or comments, which two readers may parse
    /// differently. Internationalised addresses (RFC 6531) are accepted.
    package init?(_ text: String) {
        let trimmed = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard (3...254).contains(trimmed.utf8.count) else { return nil }
        let parts = trimmed.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, Self.isLocal(parts[0]), Self.isDomain(parts[1]) else { return nil }
        self.address = trimmed
        self.key = Self.key(of: trimmed)
    }

    /// Also for the prefix of an address.
    package static func key(of text: String) -> String {
        text.trimmingCharacters(in: .whitespacesAndNewlines).precomposedStringWithCanonicalMapping.lowercased()
            .precomposedStringWithCanonicalMapping
    }

    private static func isLocal(_ part: Substring) -> Bool {
        guard (1...64).contains(part.utf8.count), !part.hasPrefix("."), !part.hasSuffix("."), !part.contains("..")
        else {
            return false
        }
        return part.unicodeScalars.allSatisfy { scalar in
            if scalar.isASCII {
                return scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || "!#$%&'*+/=?^_`{|}~.-".unicodeScalars.contains(scalar)
            }
            return isPrintable(scalar)
        }
    }

    private static func isDomain(_ part: Substring) -> Bool {
        let labels = part.split(separator: ".", omittingEmptySubsequences: false)
        return labels.count >= 2
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
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
