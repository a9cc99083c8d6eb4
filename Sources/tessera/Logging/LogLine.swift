import Logging
import ServiceKit
import Storage

/// One event, with its fields in the order of their names.
struct LogLine {
    let time: Instant
    let level: Logger.Level
    let message: String
    let fields: [(name: String, value: String)]

    init(time: Instant, level: Logger.Level, message: String, fields: [(name: String, value: String)]) {
        self.time = time
        self.level = level
        self.message = message
        self.fields = fields.sorted { $0.name < $1.name }
    }

    /// The event's fields replace the logger's.
    init(_ event: LogEvent, with logger: Logger.Metadata, at time: Instant) {
        let own = event.metadata ?? [:]
        var fields: [(name: String, value: String)] = []
        fields.reserveCapacity(logger.count + own.count + 1)
        let hasRequestID = logger[Self.requestID] != nil || own[Self.requestID] != nil
        for (name, value) in logger where own[name] == nil {
            // Hummingbird numbers requests too. Only our id, which the answer also has, is kept.
            if hasRequestID, name == Self.frameworkRequestID { continue }
            fields.append((name, Self.text(value)))
        }
        for (name, value) in own where event.error == nil || name != "error" { fields.append((name, Self.text(value))) }
        if let error = event.error { fields.append(("error", "\(error)")) }
        self.init(time: time, level: event.level, message: event.message.description, fields: fields)
    }

    func value(_ name: String) -> String? {
        fields.first { $0.name == name }?.value
    }

    /// Interpolation would copy the text, and nearly every value is text.
    private static func text(_ value: Logger.MetadataValue) -> String {
        if case .string(let text) = value { text } else { "\(value)" }
    }

    private static let requestID = "request_id"
    private static let frameworkRequestID = "hb.request.id"
}
