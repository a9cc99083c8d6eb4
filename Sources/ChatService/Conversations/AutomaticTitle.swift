// The title a conversation gets when nobody gave it one.

/// The beginning of the first user message, on one line.
enum AutomaticTitle {
    /// Characters.
    static let longest = 80

    /// At most 80 characters of `text`, cut at a word, white space collapsed; `nil` when there is nothing but space.
    static func make(from text: String) -> String? {
        // 80 characters can be megabytes of combining marks; no title needs more than 1,024 scalars.
        let beginning = String(String.UnicodeScalarView(text.unicodeScalars.prefix(1024)))
        var title = ""
        var count = 0
        for word in beginning.split(whereSeparator: \.isWhitespace) {
            let added = word.count + (title.isEmpty ? 0 : 1)
            guard count + added <= longest else {
                // A first word that is longer than a title has no better place to be cut.
                return title.isEmpty ? String(word.prefix(longest)) : title
            }
            if !title.isEmpty { title += " " }
            title += word
            count += added
        }
        return title.isEmpty ? nil : title
    }
}
