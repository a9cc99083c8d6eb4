// Log lines on standard error: text for people, JSON for machines, one line an event either way.
import Foundation
import Logging
import ServiceKit
import Storage

struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    let isJSON: Bool

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        for (key, value) in event.metadata ?? [:] { fields[key] = value }
        if let error = event.error { fields["error"] = "\(error)" }
        let line = line(Clock.system.now().rfc3339, event, fields)
        // A full disk or a reader that went away must not stop the server.
        try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
    }

    /// One line, without its end.
    func line(_ now: String, _ event: LogEvent, _ fields: Logger.Metadata) -> String {
        isJSON ? json(now, event, fields) : text(now, event, fields)
    }

    private func json(_ now: String, _ event: LogEvent, _ fields: Logger.Metadata) -> String {
        JSONWriter.object { writer in
            writer.field("at", now)
            writer.field("level", event.level.rawValue)
            writer.field("message", event.message.description)
            for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
                writer.key(named: key) { $0.string("\(value)") }
            }
        }.string
    }

    /// SECURITY: a value with a line break would forge a second line; it is written as JSON writes it.
    private func text(_ now: String, _ event: LogEvent, _ fields: Logger.Metadata) -> String {
        let pairs = fields.sorted { $0.key < $1.key }.map { key, value -> String in
            let text = "\(value)"
            let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0.value != 0x7F }
            return "\(key)=\(isPlain ? text : quoted(text))"
        }
        let message = "\(event.message)"
        let isOneLine = message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        let head = "\(now) \(event.level.rawValue.uppercased()) \(isOneLine ? message : quoted(message))"
        return ([head] + pairs).joined(separator: " ")
    }

    private func quoted(_ text: String) -> String {
        var writer = JSONWriter()
        writer.string(text)
        return writer.string
    }
}

enum Logs {
    /// Sets up logging for the process; once.
    static func start(_ settings: Settings) {
        let isJSON = settings.logFormat.map { $0 == "json" } ?? (isatty(STDERR_FILENO) == 0)
        let level = settings.logLevel
        LoggingSystem.bootstrap { _ in LineLogHandler(logLevel: level, isJSON: isJSON) }
    }
}
