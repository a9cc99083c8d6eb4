// The form of a name under which it is found, whatever its case and its spelling in Unicode.
import Foundation
import ServiceKit

enum LookupKey {
    /// Bytes of a text that count. Every name that is kept is shorter.
    private static let maxBytes = 1024

    /// NFC and lower case, without white space at the ends; also of the beginning of a name.
    static func of(_ text: RequestText) -> String {
        text.prefix(bytes: maxBytes).trimmed.verbatim.precomposedStringWithCanonicalMapping.lowercased()
            .precomposedStringWithCanonicalMapping
    }
}
