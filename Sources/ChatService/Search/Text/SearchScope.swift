// The scope of an entry, as words that no text can contain: § separates words, and is a letter to neither engine's
// index. The schema's triggers write the same words.
//
// SQLite has ids in hexadecimal, because it stores a word once. PostgreSQL stores them with every row, so they are 48
// bits of a digest. A collision of two owners would cost only time, since every statement tests the rows' owner.
import OpenSSLCrypto
import Storage

struct SearchScope: Sendable {
    let engine: SQLEngine
    let owner: String
    var conversation: String?
    var role: String?

    /// A window of time: 4096 seconds on level 0, and 16 times as long on each further level.
    struct Window: Sendable, Hashable {
        static let levels = 4

        let level: Int
        let number: Int64

        /// As the triggers count: an unsigned 32-bit number.
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

        /// Exclusive.
        var end: Int64 { (number + 1) << (12 + 4 * level) }

        /// What follows it up to a second, in the fewest windows, the newest first.
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

        /// What precedes it down to a second, in the fewest windows, the newest first.
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

    /// The words that every matching entry has; `windows` are alternatives, and without any it is all of time.
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
    /// In FTS5's syntax (sqlite.org/fts5.html, "Full-text Query Syntax").
    func fts5(_ scope: SearchScope) -> String {
        let all = scope.words().all.map { "\"\($0)\"" } + wanted.map(Self.fts5)
        return unwanted.reduce("(" + all.joined(separator: " AND ") + ")") { "(\($0) NOT \(Self.fts5($1)))" }
    }

    private static func fts5(_ phrase: Phrase) -> String {
        "\"" + phrase.words.joined(separator: " ") + "\"" + (phrase.isPrefix ? " *" : "")
    }

    /// In PostgreSQL's syntax (manual, "tsquery").
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
