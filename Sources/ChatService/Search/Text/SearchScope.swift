// Where an entry belongs, as words that no text can hold: § separates words, and is a letter to neither engine's
// index. The triggers of the schema write them; this is their other half.
//
// SQLite writes ids in hexadecimal, where a word is stored once. PostgreSQL stores them with every row, so they are
// 48 bits of a digest there; two owners with the same 48 bits would cost each other time and nothing else, since
// every statement asks whose the rows are.
import OpenSSLCrypto
import Storage

struct SearchScope: Sendable {
    let engine: SQLEngine
    let owner: String
    var conversation: String?
    /// Of messages.
    var role: String?

    /// A piece of time, 4096 seconds long on level 0 and 16 times as long on each further.
    struct Window: Sendable, Hashable {
        static let levels = 4

        let level: Int
        let number: Int64

        /// The seconds that the triggers count, which are those of an unsigned 32-bit number.
        static func second(_ instant: Instant) -> Int64 {
            min(max(instant.seconds, 0), Int64(UInt32.max))
        }

        init(level: Int, number: Int64) {
            self.level = level
            self.number = number
        }

        init(level: Int, containing second: Int64) {
            self.init(level: level, number: second >> (12 + 4 * level))
        }

        var firstSecond: Int64 { number << (12 + 4 * level) }

        /// The second after its last.
        var end: Int64 { (number + 1) << (12 + 4 * level) }

        /// What comes after it up to a second, in as few windows as there can be, the newest first.
        func following(until second: Int64) -> [Window] {
            var windows: [Window] = []
            var window = self
            while window.end <= second {
                if window.level < Self.levels - 1, window.number & 15 == 15 {
                    window = Window(level: window.level + 1, number: window.number >> 4)
                } else {
                    window = Window(level: window.level, number: window.number + 1)
                    windows.append(window)
                }
            }
            return windows.reversed()
        }

        /// What comes before it down to a second, in as few windows as there can be, the newest first.
        func preceding(until second: Int64) -> [Window] {
            var windows: [Window] = []
            var window = self
            while window.firstSecond > second {
                if window.level < Self.levels - 1, window.number & 15 == 0 {
                    window = Window(level: window.level + 1, number: window.number >> 4)
                } else {
                    window = Window(level: window.level, number: window.number - 1)
                    windows.append(window)
                }
            }
            return windows
        }

        /// Its sixteenths, the newest first; none on level 0.
        var parts: [Window] {
            level == 0 ? [] : (0..<16).reversed().map { Window(level: level - 1, number: number * 16 + $0) }
        }
    }

    /// The words that every entry of a search must have, `windows` being alternatives. None are all of time.
    func words(in windows: [Window] = []) -> (all: [String], any: [String]) {
        var all = windows.isEmpty ? ["§o" + tag(owner)] : []
        if let conversation { all.append("§c" + tag(conversation)) }
        if let role { all.append("§r" + role) }
        return (all, windows.map { "§t\(tag(owner)).\($0.level).\(String($0.number, radix: 16))" })
    }

    private func tag(_ id: String) -> String {
        engine == .sqlite ? Hex.encode(Array(id.utf8)) : Hex.encode(Array(SHA256.digest(Array(id.utf8)).prefix(6)))
    }
}

extension SearchQuery {
    /// FTS5's words for it (sqlite.org/fts5.html, "Full-text Query Syntax").
    func fts5(_ scope: SearchScope) -> String {
        let all = scope.words().all.map { "\"\($0)\"" } + wanted.map(Self.fts5)
        return unwanted.reduce("(" + all.joined(separator: " AND ") + ")") { "(\($0) NOT \(Self.fts5($1)))" }
    }

    private static func fts5(_ phrase: Phrase) -> String {
        "\"" + phrase.words.joined(separator: " ") + "\"" + (phrase.isPrefix ? " *" : "")
    }

    /// PostgreSQL's (manual, "tsquery").
    func tsquery(_ scope: SearchScope, in windows: [SearchScope.Window]) -> String {
        let (all, any) = scope.words(in: windows)
        var terms = all.map { "'\($0)'" }
        if !any.isEmpty { terms.append("(" + any.map { "'\($0)'" }.joined(separator: " | ") + ")") }
        terms += wanted.map(Self.tsquery) + unwanted.map { "!" + Self.tsquery($0) }
        return terms.joined(separator: " & ")
    }

    private static func tsquery(_ phrase: Phrase) -> String {
        "(" + phrase.words.map { "'\($0)'" }.joined(separator: " <-> ") + (phrase.isPrefix ? ":*)" : ")")
    }
}
