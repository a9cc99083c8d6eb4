// Notices what other processes commit to the file: SQLite has no way to be told, so a look at its version is cheap
// instead.
//
// `PRAGMA data_version` reads a number in shared memory. Fifty looks a second cost less than a hundredth of a core,
// and a command in another process is noticed within 20 ms. What this process commits itself is told by its writer at
// once, so these looks are for the others.

@preconcurrency internal import Dispatch
import Storage

/// Watches the whole file, which is more than the one log: a hint for nothing costs one read.
final class SQLiteLogWatcher: LogWatcher {
    /// Between two looks.
    private static let pause: DispatchTimeInterval = .milliseconds(20)
    /// Looks after which a hint is due even when nothing has changed.
    private static let looksPerHint = 50

    private let path: String
    private let configuration: SQLiteConfiguration
    private let changed: @Sendable () -> Void
    private let stopped = DispatchSemaphore(value: 0)

    init(path: String, configuration: SQLiteConfiguration, changed: @escaping @Sendable () -> Void) {
        self.path = path
        self.configuration = configuration
        self.changed = changed
    }

    func run() {
        var connection: SQLiteConnection?
        defer { connection?.close() }
        var version: Int64?
        var looks = 0
        repeat {
            if connection == nil {
                connection = try? SQLiteConnection(path: path, role: .reader, configuration: configuration)
            }
            // Without an answer nothing is known, and the hint that is due in any case has to do.
            let now = try? connection?.dataVersion()
            looks += 1
            if now != version || looks >= Self.looksPerHint {
                version = now
                looks = 0
                changed()
            }
        } while stopped.wait(timeout: .now() + Self.pause) == .timedOut
    }

    func stop() {
        stopped.signal()
    }
}
