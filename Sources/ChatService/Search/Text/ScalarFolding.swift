// Folds characters for the search: one case, no marks, and the kind of letter.
//
// Each scalar is folded by itself: compatibility decomposition (NFKD, Unicode Standard Annex 15), marks dropped, upper
// case and back (Unicode's full case folding for all common text: ß is ss, ς is σ). So composed and decomposed text
// fold to the same without normalising the whole. `WordScanner` restores what this splits: voiced kana and syllables of
// Hangul.
//
// The folding of a script is computed once and looked up from then on. Han, kana and Hangul fold to themselves.
internal import Foundation

enum ScalarKind: UInt8 {
    case separator
    case letter
    /// Of a script without spaces: indexed in pairs.
    case unspaced
    case symbol
    case ignored
}

struct FoldedScalar {
    let scalar: Unicode.Scalar
    let kind: ScalarKind
}

enum ScalarFolding {
    /// Usually one scalar, none for a mark, several for a ligature.
    @inline(__always)
    static func fold(_ scalar: Unicode.Scalar, _ body: (FoldedScalar) -> Void) {
        let value = scalar.value
        if value < 0x2000 {
            table.fold(value, body)
        } else if value < 0x3400 {
            // Kana keep their voice marks.
            if (0x3040..<0x3100).contains(value) {
                body(FoldedScalar(scalar: scalar, kind: kind(of: scalar)))
            } else {
                punctuation.fold(value - 0x2000, body)
            }
        } else if value < 0xA000 || (0xAC00..<0xD7A4).contains(value) {
            body(FoldedScalar(scalar: scalar, kind: .unspaced))
        } else if (0xF900..<0x10000).contains(value) {
            compatibility.fold(value - 0xF900, body)
        } else {
            for folded in slowly(scalar) { body(folded) }
        }
    }

    private struct Table: Sendable {
        private var starts: [UInt32] = [0]
        private var scalars: [FoldedScalar] = []

        init(_ range: Range<UInt32>) {
            for value in range {
                if let scalar = Unicode.Scalar(value) { scalars.append(contentsOf: slowly(scalar)) }
                starts.append(UInt32(scalars.count))
            }
        }

        @inline(__always)
        func fold(_ index: UInt32, _ body: (FoldedScalar) -> Void) {
            for place in starts[Int(index)]..<starts[Int(index) + 1] { body(scalars[Int(place)]) }
        }
    }

    private static let table = Table(0..<0x2000)
    private static let punctuation = Table(0x2000..<0x3400)
    private static let compatibility = Table(0xF900..<0x10000)

    private static func slowly(_ scalar: Unicode.Scalar) -> [FoldedScalar] {
        let plain = withoutMarks(String(Character(scalar)))
        let folded = withoutMarks(plain.uppercased().lowercased())
        return folded.unicodeScalars.map { FoldedScalar(scalar: $0, kind: kind(of: $0)) }
    }

    private static func withoutMarks(_ text: String) -> String {
        var kept = String.UnicodeScalarView()
        for scalar in text.decomposedStringWithCompatibilityMapping.unicodeScalars {
            switch scalar.properties.generalCategory {
            // The voice marks of kana are letters to their readers.
            case .nonspacingMark where scalar.value == 0x3099 || scalar.value == 0x309A: kept.append(scalar)
            case .nonspacingMark, .enclosingMark: continue
            default: kept.append(scalar)
            }
        }
        return String(kept)
    }

    private static func kind(of scalar: Unicode.Scalar) -> ScalarKind {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber, .spacingMark:
            return isUnspaced(scalar.value) ? .unspaced : .letter
        case .nonspacingMark, .enclosingMark:
            return scalar.value == 0x3099 || scalar.value == 0x309A ? .unspaced : .ignored
        // A soft hyphen or a joiner is inside a word; the zero-width space is not.
        case .format: return scalar.value == 0x200B ? .separator : .ignored
        case .otherSymbol: return .symbol
        // Skin tones.
        case .modifierSymbol: return (0x1F3FB...0x1F3FF).contains(scalar.value) ? .ignored : .separator
        default: return .separator
        }
    }

    private static func isUnspaced(_ value: UInt32) -> Bool {
        switch value {
        // Thai, Lao; Myanmar; Hangul jamo; Khmer; from the CJK radicals to Hangul; everything Han beyond the BMP.
        case 0x0E00..<0x0F00, 0x1000..<0x1200, 0x1780..<0x1800, 0x2E80..<0xA000, 0xA960..<0xA980, 0xAC00..<0xD800,
            0xF900..<0xFB00, 0x20000..<0x40000:
            true
        default: false
        }
    }
}
