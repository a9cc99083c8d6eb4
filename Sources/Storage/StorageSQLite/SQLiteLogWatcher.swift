// Notices commits of other processes. SQLite has no notification for them, so this polls the version of the file.
//
// `PRAGMA data_version` reads a number in shared memory. Fifty reads a second cost less than a hundredth of a core, and
// notice a commit of another process within 20 ms. The writer reports this process's own commits at once.

@preconcurrency internal import Dispatch
import Storage

/// Watches the whole file, not one log: a hint for nothing costs one read.
final class SQLiteLogWatcher: LogWatcher {
    /// Between two reads.
    private static let pause: DispatchTimeInterval = .milliseconds(20)
    /// A hint is due after so many reads even when nothing has changed.
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
            // If the read fails, the hint that is due in any case has to do.
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
