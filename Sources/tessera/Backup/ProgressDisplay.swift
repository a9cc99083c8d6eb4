// Progress on standard error: one updated line on a terminal, occasional lines elsewhere. Standard output is for the
// result.
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

final class ProgressDisplay: Sendable {
    private struct State {
        var lastText = ""
        var lastWhat = ""
        var lastTime: ContinuousClock.Instant?
        var lastTenth = -1
        var isLineOpen = false
    }

    private let isTerminal: Bool
    private let state = Mutex(State())

    init(isTerminal: Bool = isatty(STDERR_FILENO) == 1) {
        self.isTerminal = isTerminal
    }

    /// `total` is `nil` if it is unknown.
    func show(_ what: String, done: Int, total: Int? = nil, remark: String = "") {
        let isLast = done == total
        let tenth = total.map { $0 > 0 ? done * 10 / $0 : 10 } ?? 0
        state.withLock { state in
            let now = ContinuousClock.now
            let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(10)
            let isDue = state.lastTime.map { now - $0 >= pause } ?? true || what != state.lastWhat
            guard isDue || isLast || (!isTerminal && total != nil && tenth != state.lastTenth) else { return }
            let share = total.map { $0 > 0 ? "\(done * 100 / $0) % " : "" } ?? ""
            let sizes = total.map { "\(Self.size(done)) of \(Self.size($0))" } ?? Self.size(done)
            let text = "\(what)  \(share)(\(sizes))\(remark.isEmpty ? "" : "  \(remark)")"
            guard text != state.lastText else { return }
            state.lastText = text
            state.lastWhat = what
            state.lastTime = now
            state.lastTenth = tenth
            write(isTerminal ? "\r\(text)\u{1B}[K" : "\(text)\n")
            state.isLineOpen = isTerminal
        }
    }

    /// Ends the updated line, so that later output begins a new one.
    func finish() {
        state.withLock { state in
            if state.isLineOpen { write("\n") }
            state.isLineOpen = false
            state.lastTime = nil
            state.lastTenth = -1
        }
    }

    private func write(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }

    static func size(_ bytes: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(bytes) B" : String(format: "%.1f %@", value, units[unit])
    }
}
