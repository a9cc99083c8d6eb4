// The log of the process: standard error, one writer, flushed when the process ends.
import Foundation
import Logging
import ServiceKit
import Storage
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

enum Logs {
    /// How long the end of the process waits for a reader of the log.
    private static let maxFlush = Duration.seconds(1)

    private static let format = Mutex(LogFormat.text)

    static let writer: LogWriter = {
        // However the process ends by itself: after a signal, a command, or a start that failed.
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

    /// Whether text on standard error is read by a person.
    static func isTerminal(_ settings: Settings) -> Bool {
        isatty(STDERR_FILENO) == 1 && settings.logFormat != "json"
    }

    /// Sets up logging for the process; once.
    ///
    /// - Parameters:
    ///   - settings: level and format.
    ///   - greets: the command greets a person: at the usual level a terminal then shows requests alone.
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

    /// Says in one line why a command fails, after what was logged before.
    static func complain(_ text: String) {
        writer.write(Array("tessera: \(text)".utf8), isUrgent: true)
    }
}
