// The log of the process goes to standard error, and is flushed at exit.
import Foundation
import Logging
import ServiceKit
import Storage
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

enum Logs {
    /// How long the process waits at exit for a reader of the log.
    private static let maxFlush = Duration.seconds(1)

    private static let format = Mutex(LogFormat.text)

    static let writer: LogWriter = {
        // At every exit: after a signal, a command, or a failed start.
        atexit { Logs.writer.flush(within: Logs.maxFlush) }
        return LogWriter(
            notice: { lines in
                let line = LogLine(
                    time: Clock.system.now(),
                    level: .warning,
                    message: "log lines were dropped",
                    fields: [("lines", "\(lines)")]
                )
                return format.withLock { $0.bytes(line) }
            },
            output: LogDescriptor(number: STDERR_FILENO).write
        )
    }()

    /// Whether a person reads standard error as text.
    static func isTerminal(_ settings: Settings) -> Bool {
        isatty(STDERR_FILENO) == 1 && settings.logFormat != "json"
    }

    /// Sets up logging for the process; once.
    ///
    /// - Parameters:
    ///   - settings: level and format.
    ///   - greets: whether the command prints a greeting; a terminal then shows requests alone at the default level.
    static func start(_ settings: Settings, greets: Bool) {
        let isTerminal = isTerminal(settings)
        let chosen: LogFormat = isTerminal ? .terminal(.current) : settings.logFormat == "text" ? .text : .json
        format.withLock { $0 = chosen }
        let level = settings.logLevel
        LoggingSystem.bootstrap { _ in
            var handler = LineLogHandler(logLevel: level, format: chosen, writer: writer)
            handler.showsRequestsOnly = greets && isTerminal && level == .info
            return handler
        }
    }

    static func complain(_ text: String) {
        writer.write(Array("tessera: \(text)".utf8), isUrgent: true)
    }
}
