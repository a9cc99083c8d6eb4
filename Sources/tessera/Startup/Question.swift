// What a command asks before it destroys something.
import Foundation

#if canImport(Glibc)
    import Glibc
#endif

enum Question {
    /// Asks on a terminal, unless `--yes` answered already.
    ///
    /// - Throws: `StartFailure` without a terminal, and for any other answer than yes.
    static func ask(_ what: String, isAnswered: Bool) throws {
        if isAnswered { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw StartFailure("nothing was changed: --yes is needed here. \(what)")
        }
        try? FileHandle.standardError.write(contentsOf: Data("\(what). Type yes to go on: ".utf8))
        guard readLine()?.lowercased() == "yes" else { throw StartFailure("nothing was changed") }
    }
}
