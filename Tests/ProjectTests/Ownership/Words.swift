// Scans bytes, since a regular expression over all of Sources takes minutes.

/// A run of letters, digits, `_`, `$` and `#`.
struct Word {
    let text: Substring
    /// The byte before it, possibly a blank.
    let previous: UInt8?
    let rest: Substring

    static func all(in part: String) -> [Word] {
        var words: [Word] = []
        let utf8 = part.utf8
        var index = utf8.startIndex
        var previous: UInt8?
        while index < utf8.endIndex {
            guard isPartOfWord(utf8[index]) else {
                previous = utf8[index]
                index = utf8.index(after: index)
                continue
            }
            let end = utf8[index...].firstIndex { !isPartOfWord($0) } ?? utf8.endIndex
            words.append(Word(text: part[index..<end], previous: previous, rest: part[end...]))
            previous = UInt8(ascii: "a")
            index = end
        }
        return words
    }

    private static func isPartOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), UInt8(ascii: "#"):
            true
        default: false
        }
    }

    var namesType: Bool { text.first?.isUppercase == true && previous != UInt8(ascii: ".") }

    func bracketed(_ open: Character) -> String? {
        guard rest.first == open else { return nil }
        return Word.inside(rest.dropFirst())
    }

    static func inside(_ code: Substring) -> String {
        var depth = 0
        var inside = ""
        for character in code {
            if "([{".contains(character) { depth += 1 }
            if ")]}".contains(character) { depth -= 1 }
            if depth < 0 { break }
            inside.append(character)
        }
        return inside
    }

    static func arguments(_ inside: String) -> [String] {
        var arguments = [""]
        var depth = 0
        for character in inside {
            if "([{".contains(character) { depth += 1 }
            if ")]}".contains(character) { depth -= 1 }
            if character == ",", depth == 0 {
                arguments.append("")
            } else {
                arguments[arguments.count - 1].append(character)
            }
        }
        return arguments
    }
}
