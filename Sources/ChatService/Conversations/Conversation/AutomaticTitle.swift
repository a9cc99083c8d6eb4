// The title of a conversation without one: the beginning of the first user message, on one line.
import ServiceKit

enum AutomaticTitle {
    /// Unicode scalars.
    static let maxLength = 80
    /// Bytes of the text that are looked at: far more than a title has, unless they are white space.
    private static let maxRead = 4096

    /// At most 80 scalars of `text`, cut at a word, white space collapsed; `nil` when there is nothing but space.
    static func make(from text: RequestText) -> RequestText? {
        var title = String.UnicodeScalarView()
        for word in text.prefix(bytes: maxRead).unicodeScalars.split(whereSeparator: \.properties.isWhitespace) {
            let space = title.isEmpty ? 0 : 1
            guard title.count + space + word.count <= maxLength else {
                // A first word that is longer than a title has no better place to be cut.
                return RequestText(title.isEmpty ? cut(word) : String(title))
            }
            if !title.isEmpty { title.append(" ") }
            title.append(contentsOf: word)
        }
        return title.isEmpty ? nil : RequestText(String(title))
    }

    /// The beginning of a word, at the end of a character where it holds one.
    private static func cut(_ word: Substring.UnicodeScalarView) -> String {
        func characters(_ scalars: Int) -> [Character] { Array(String(word.prefix(scalars))) }
        let (title, longer) = (characters(maxLength), characters(maxLength + 1))
        // One scalar more begins a character where the last one is whole.
        let isWhole = longer.count > title.count
        return String(isWhole || title.count < 2 ? title : title.dropLast())
    }
}
