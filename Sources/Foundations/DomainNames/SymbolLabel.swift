// A label with symbols in it, which UTS #46 allows (status `valid`, NV8) and libidn2 refuses, as IDNA 2008 does.
import Foundation

struct SymbolLabel {
    /// Mapped and normalised, as UTS #46 §4 steps 1 and 2 leave it.
    private let text: [Unicode.Scalar]

    /// `nil` where UTS #46 would refuse it, or where it is one of those that libidn2 judges.
    init?(_ label: String) {
        let shown = label.unicodeScalars.filter { !Self.isIgnored($0) }
        let folded = String(String.UnicodeScalarView(shown)).precomposedStringWithCompatibilityMapping.lowercased()
        text = Array(folded.precomposedStringWithCompatibilityMapping.unicodeScalars)
        guard let first = text.first, !Self.isMark(first), text.contains(where: Self.isSymbol),
            text.allSatisfy(Self.isValid)
        else { return nil }
    }

    /// Mapped to nothing: soft hyphens and variation selectors.
    private static func isIgnored(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "\u{AD}" || scalar.properties.isVariationSelector
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }

    private static func isSymbol(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .otherSymbol, .mathSymbol, .currencySymbol, .modifierSymbol, .otherPunctuation, .dashPunctuation,
            .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation, .connectorPunctuation:
            !scalar.isASCII
        default: false
        }
    }

    /// Letters of scripts that run from left to right, digits, marks and symbols. What runs from right to left has
    /// rules of its own (RFC 5893), by which libidn2 judges the names that people have.
    private static func isValid(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return scalar == "-" || ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
        }
        if (0x590...0x8FF).contains(scalar.value) || (0x10800...0x10FFF).contains(scalar.value)
            || (0x1E800...0x1EFFF).contains(scalar.value) || (0xFB1D...0xFEFF).contains(scalar.value)
        {
            return false
        }
        switch scalar.properties.generalCategory {
        case .lowercaseLetter, .modifierLetter, .otherLetter, .decimalNumber, .letterNumber, .otherNumber: return true
        default: return isMark(scalar) || isSymbol(scalar)
        }
    }

    /// The A-label.
    var ascii: String { "xn--" + Punycode.encode(text) }
}

/// RFC 3492, for the few labels that libidn2 does not encode.
enum Punycode {
    private static let (base, tMin, tMax, skew, damp) = (36, 1, 26, 38, 700)

    /// §6.3.
    static func encode(_ input: [Unicode.Scalar]) -> String {
        var output = String.UnicodeScalarView(input.filter(\.isASCII))
        let basic = output.count
        var handled = basic
        if basic > 0 { output.append("-") }
        var (limit, delta, bias) = (128, 0, 72)
        while handled < input.count {
            guard let next = input.map({ Int($0.value) }).filter({ $0 >= limit }).min() else { break }
            delta += (next - limit) * (handled + 1)
            limit = next
            for scalar in input {
                if Int(scalar.value) < limit { delta += 1 }
                guard Int(scalar.value) == limit else { continue }
                var rest = delta
                var position = base
                while true {
                    let threshold = min(max(position - bias, tMin), tMax)
                    if rest < threshold { break }
                    output.append(digit(threshold + (rest - threshold) % (base - threshold)))
                    rest = (rest - threshold) / (base - threshold)
                    position += base
                }
                output.append(digit(rest))
                bias = adapt(delta, handled + 1, isFirst: handled == basic)
                delta = 0
                handled += 1
            }
            delta += 1
            limit += 1
        }
        return String(output)
    }

    /// §6.1.
    private static func adapt(_ delta: Int, _ points: Int, isFirst: Bool) -> Int {
        var delta = isFirst ? delta / damp : delta / 2
        delta += delta / points
        var position = 0
        while delta > (base - tMin) * tMax / 2 {
            delta /= base - tMin
            position += base
        }
        return position + (base - tMin + 1) * delta / (delta + skew)
    }

    private static func digit(_ value: Int) -> Unicode.Scalar {
        Unicode.Scalar(UInt8(value < 26 ? 0x61 + value : 0x30 + value - 26))
    }
}
