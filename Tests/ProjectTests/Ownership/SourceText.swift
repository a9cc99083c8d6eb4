// Splits Swift source into code, string literals, and the code of interpolations.
//
// Each part keeps the lines of the source, so that a finding has its line number; the other parts are blank in it.

struct SourceText {
    /// Code outside literals and comments. A literal is two quotes.
    private(set) var code = ""
    /// The text of literals. An interpolation is a `#`, and a literal ends with `SourceText.end`.
    private(set) var text = ""
    private(set) var interpolations = ""
    /// Whether all quotes and brackets are paired; otherwise the parts are meaningless.
    private(set) var isBalanced = false

    static let end: Character = "\u{1}"

    private enum Frame {
        case code(open: Int)
        case literal(hashes: Int, quotes: Int)
    }

    private let bytes: [UInt8]
    private var position = 0
    private var frames = [Frame.code(open: 0)]
    private var codeBytes: [UInt8] = []
    private var textBytes: [UInt8] = []
    private var interpolationBytes: [UInt8] = []

    init(_ source: String) {
        bytes = Array(source.utf8)
        while position < bytes.count {
            switch frames[frames.count - 1] {
            case .code(let open): readCode(open)
            case .literal(let hashes, let quotes): readLiteral(hashes, quotes)
            }
        }
        if case .code(open: 0)? = frames.last, frames.count == 1 { isBalanced = true }
        code = String(decoding: codeBytes, as: UTF8.self)
        text = String(decoding: textBytes, as: UTF8.self)
        interpolations = String(decoding: interpolationBytes, as: UTF8.self)
    }

    static func line(of index: String.Index, in part: String) -> Int {
        part[..<index].utf8.count { $0 == UInt8(ascii: "\n") } + 1
    }

    private mutating func readCode(_ open: Int) {
        let byte = bytes[position]
        switch byte {
        case UInt8(ascii: "/") where follows("//"): skipComment(through: "\n")
        case UInt8(ascii: "/") where follows("/*"): skipComment(through: "*/")
        case UInt8(ascii: "\""), UInt8(ascii: "#"):
            let hashes = run(of: UInt8(ascii: "#"), from: position)
            guard position + hashes < bytes.count, bytes[position + hashes] == UInt8(ascii: "\"") else {
                return take(max(1, hashes))
            }
            let quotes = run(of: UInt8(ascii: "\""), from: position + hashes) >= 3 ? 3 : 1
            take(hashes + quotes)
            frames.append(.literal(hashes: hashes, quotes: quotes))
        case UInt8(ascii: "("):
            frames[frames.count - 1] = .code(open: open + 1)
            take(1)
        case UInt8(ascii: ")") where open == 0 && frames.count > 1:
            frames.removeLast()
            take(1)
        case UInt8(ascii: ")"):
            frames[frames.count - 1] = .code(open: open - 1)
            take(1)
        default: take(1)
        }
    }

    private mutating func readLiteral(_ hashes: Int, _ quotes: Int) {
        let closing = String(repeating: "\"", count: quotes) + String(repeating: "#", count: hashes)
        let escape = "\\" + String(repeating: "#", count: hashes)
        if follows(closing) {
            frames.removeLast()
            textBytes.append(contentsOf: String(Self.end).utf8)
            take(closing.utf8.count)
        } else if follows(escape + "(") {
            takeText(escape.utf8.count + 1, as: UInt8(ascii: "#"))
            frames.append(.code(open: 0))
        } else if follows(escape) {
            takeText(min(escape.utf8.count + 1, bytes.count - position), as: nil)
        } else {
            takeText(1, as: nil)
        }
    }

    private mutating func skipComment(through end: String) {
        var nested = 0
        while position < bytes.count {
            if end == "*/", follows("/*") { nested += 1 }
            if follows(end) {
                nested -= 1
                if nested <= 0 {
                    let length = end.utf8.count
                    return end == "\n" ? () : blank(length)
                }
            }
            blank(1)
        }
    }

    private func follows(_ prefix: String) -> Bool { bytes[position...].starts(with: prefix.utf8) }

    private func run(of byte: UInt8, from start: Int) -> Int { bytes[start...].prefix { $0 == byte }.count }

    private mutating func take(_ count: Int) {
        let isInside = frames.contains { if case .literal = $0 { true } else { false } }
        for byte in bytes[position..<position + count] {
            let blank = byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " ")
            codeBytes.append(isInside ? blank : byte)
            interpolationBytes.append(isInside ? byte : blank)
            if !isInside || byte == UInt8(ascii: "\n") { textBytes.append(blank) }
        }
        position += count
    }

    private mutating func takeText(_ count: Int, as replacement: UInt8?) {
        for byte in bytes[position..<position + count] {
            let blank = byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " ")
            codeBytes.append(blank)
            interpolationBytes.append(blank)
            if replacement == nil { textBytes.append(byte) }
        }
        if let replacement { textBytes.append(replacement) }
        position += count
    }

    private mutating func blank(_ count: Int) {
        for byte in bytes[position..<position + count] {
            let blank = byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " ")
            codeBytes.append(blank)
            textBytes.append(blank)
            interpolationBytes.append(blank)
        }
        position += count
    }
}
