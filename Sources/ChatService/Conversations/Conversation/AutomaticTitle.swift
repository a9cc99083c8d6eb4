// The title of a conversation without one: the beginning of the first user message, on one line.

enum AutomaticTitle {
    /// Characters.
    static let maxLength = 80

    /// At most 80 characters, and as many bytes as any title, cut at a word, with white space collapsed; `nil` for
    /// white space only.
    static func make(from text: String) -> String? {
        // 80 characters can be megabytes of combining marks; no title needs more than 1,024 scalars.
        let beginning = String(String.UnicodeScalarView(text.unicodeScalars.prefix(1024)))
        var title = ""
        var count = 0
        for word in beginning.split(whereSeparator: \.isWhitespace) {
            let added = word.count + (title.isEmpty ? 0 : 1)
            let bytes = title.utf8.count + word.utf8.count + 1
            guard count + added <= maxLength, bytes <= ConversationLimits.title else {
                // A first word longer than a title is cut inside.
                return title.isEmpty ? cut(word) : title
            }
            if !title.isEmpty { title += " " }
            title += word
            count += added
        }
        return title.isEmpty ? nil : title
    }

    /// The beginning of a word: whole characters that fit, or the beginning of a single one that does not.
    private static func cut(_ word: Substring) -> String {
        var title = ""
        for character in word.prefix(maxLength) {
            guard title.utf8.count + character.utf8.count <= ConversationLimits.title else { break }
            title.append(character)
        }
        guard title.isEmpty else { return title }
        for scalar in word.unicodeScalars {
            guard title.utf8.count + UTF8.width(scalar) <= ConversationLimits.title else { break }
            title.unicodeScalars.append(scalar)
        }
        return title
    }
}
