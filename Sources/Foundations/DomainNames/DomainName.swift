// One form for a domain name, however it is written: Unicode, punycode, capitals, full-width letters.
//
// UTS #46, nontransitional (§4, ToASCII), as `domainToASCII` of WHATWG URL and the `idna` crates have it, so that other
// programs find the same form. libidn2 does it, but for what IDNA 2008 forbids and UTS #46 allows: symbols, emoji.
// Hyphens are not checked (CheckHyphens=false), since names with `--` in them exist.
import CIDN2

#if canImport(Glibc)
    import Glibc
#endif

package enum DomainName {
    /// RFC 1035 §2.3.4: bytes of a label and of a name.
    private static let maxLabel = 63
    private static let maxName = 253
    /// Bytes of a name as it is typed. A scalar of four bytes needs one letter of punycode at least.
    private static let maxTyped = 4 * maxName

    /// The name with A-labels alone, in lower case; `nil` for what UTS #46 takes for no name.
    package static func ascii(_ name: String) -> String? {
        guard (1...maxTyped).contains(name.utf8.count), !name.utf8.contains(0) else { return nil }
        var labels: [String] = []
        for label in name.unicodeScalars.split(omittingEmptySubsequences: false, whereSeparator: isDot) {
            guard let ascii = asciiLabel(String(label)), (1...maxLabel).contains(ascii.utf8.count) else { return nil }
            labels.append(ascii)
        }
        let ascii = labels.joined(separator: ".")
        return ascii.utf8.count <= maxName ? ascii : nil
    }

    /// The name with U-labels, from its form of A-labels; `nil` where there is none.
    package static func unicode(_ ascii: String) -> String? {
        guard ascii.utf8.count <= maxName else { return nil }
        var output: UnsafeMutablePointer<CChar>?
        guard unsafe idn2_to_unicode_8z8z(ascii, &output, 0) == CInt(IDN2_OK.rawValue) else { return nil }
        return unsafe take(output)
    }

    /// The full stop and what UTS #46 §2.3 maps to it.
    private static func isDot(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "." || scalar == "\u{3002}" || scalar == "\u{FF0E}" || scalar == "\u{FF61}"
    }

    // MARK: Labels

    private static func asciiLabel(_ label: String) -> String? {
        let isASCII = label.utf8.allSatisfy { $0 < 0x80 }
        let lower = isASCII ? label.lowercased() : label
        // Nearly every label of the world.
        if isASCII, !lower.utf8.starts(with: "xn--".utf8) { return lower }
        var output: UnsafeMutablePointer<UInt8>?
        let flags = CInt(IDN2_NFC_INPUT.rawValue | IDN2_NONTRANSITIONAL.rawValue)
        let result = unsafe idn2_lookup_u8(lower, &output, flags)
        switch result {
        case CInt(IDN2_OK.rawValue):
            guard let output = unsafe output else { return nil }
            return unsafe take(UnsafeMutableRawPointer(output).assumingMemoryBound(to: CChar.self))?.lowercased()
        case CInt(IDN2_DISALLOWED.rawValue):
            return isASCII ? symbolALabel(lower) : SymbolLabel(lower)?.ascii
        default: return nil
        }
    }

    /// An A-label of symbols, if it is the one that its symbols have.
    private static func symbolALabel(_ label: String) -> String? {
        guard let decoded = unicode(label), SymbolLabel(decoded)?.ascii == label else { return nil }
        return label
    }

    private static func take(_ output: UnsafeMutablePointer<CChar>?) -> String? {
        guard let output = unsafe output else { return nil }
        defer { unsafe idn2_free(output) }
        return unsafe String(validatingCString: output)
    }
}
