// Compiles `:name` in a statement's text to the numbered form of each engine.
//
// PostgreSQL's parameters are `$1…$n`, SQLite's `?1…?n` (sqlite.org/lang_expr.html#varparam). Both are bound by
// position, so names cost nothing once a statement is compiled. A colon in a cast (`::`), quoted text, a dollar quote
// or a comment is left alone.

/// The parameters of a statement, in the order of their values.
struct NamedParameters {
    private let positions: [Substring: Int]

    init(_ names: [String]) {
        positions = Dictionary(
            names.enumerated().map { (Substring($1), $0 + 1) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// A text with numbers in place of names.
    struct Compiled {
        var text = ""
        /// Names in the text that are not declared.
        var undeclared: [String] = []
        /// The positions that the text mentions.
        var used: Set<Int> = []
    }

    func compile(_ sql: String, for engine: SQLEngine) -> Compiled {
        let sigil = engine == .postgres ? "$" : "?"
        var compiled = Compiled()
        var rest = Substring(sql)
        while let start = rest.unicodeScalars.first {
            let length = Self.opaquePrefix(of: rest.unicodeScalars)
            if length > 0 {
                let end = rest.unicodeScalars.index(rest.startIndex, offsetBy: length)
                compiled.text += rest[..<end]
                rest = rest[end...]
                continue
            }
            let following = rest.unicodeScalars.dropFirst()
            guard start == ":", let head = following.first, Self.beginsName(head) else {
                compiled.text.unicodeScalars.append(start)
                rest = Substring(following)
                continue
            }
            let name = Substring(following.prefix(while: Self.continuesName))
            if let position = positions[name] {
                compiled.text += "\(sigil)\(position)"
                compiled.used.insert(position)
            } else {
                compiled.undeclared.append(String(name))
            }
            rest = rest[name.endIndex...]
        }
        return compiled
    }

    private static func beginsName(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || scalar == "_"
    }

    private static func continuesName(_ scalar: Unicode.Scalar) -> Bool {
        beginsName(scalar) || ("0"..."9").contains(scalar)
    }

    /// How many scalars at the start hold no parameter: a cast, quoted text, a dollar quote or a comment.
    private static func opaquePrefix(of text: Substring.UnicodeScalarView) -> Int {
        if text.starts(with: "::".unicodeScalars) { return 2 }
        if text.starts(with: "--".unicodeScalars) { return length(of: text, through: "\n", after: 2) }
        if text.starts(with: "/*".unicodeScalars) { return length(of: text, through: "*/", after: 2) }
        switch text.first {
        // A doubled quote ends one piece of quoted text and begins the next.
        case "'": return length(of: text, through: "'", after: 1)
        case "\"": return length(of: text, through: "\"", after: 1)
        case "$":
            let tag = text.dropFirst().prefix(while: continuesName)
            guard text.dropFirst(tag.count + 1).first == "$" else { return 0 }
            let delimiter = "$\(String(tag))$"
            return length(of: text, through: delimiter, after: tag.count + 2)
        default: return 0
        }
    }

    /// The length of the text up to the end of `delimiter`, searched for after `skipped` scalars.
    private static func length(of text: Substring.UnicodeScalarView, through delimiter: String, after skipped: Int)
        -> Int
    {
        let delimiter = delimiter.unicodeScalars
        var length = skipped
        var rest = text.dropFirst(skipped)
        while !rest.isEmpty {
            if rest.starts(with: delimiter) { return length + delimiter.count }
            rest = rest.dropFirst()
            length += 1
        }
        return length
    }
}
