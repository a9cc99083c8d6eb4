// The log's formats. In each of them an event is one line.
import Foundation
import Logging
import ServiceKit
import Storage

enum LogFormat: Sendable {
    /// For collectors. The field names are a contract.
    case json
    /// For files that people read: time, level, message, fields.
    case text
    /// For a terminal: the local time of day, and requests in short form.
    case terminal(TimeZone)

    /// Without a line feed.
    func bytes(_ line: LogLine) -> [UInt8] {
        switch self {
        case .json: Self.json(line)
        case .text: Array(Self.text(line).utf8)
        case .terminal(let zone): Array(Self.terminal(line, zone).utf8)
        }
    }

    private static func json(_ line: LogLine) -> [UInt8] {
        JSONWriter.object { writer in
            writer.field("at", line.time)
            writer.field("level", line.level.rawValue)
            writer.field("message", line.message)
            for (name, value) in line.fields { writer.key(named: name) { $0.string(value) } }
        }.bytes
    }

    private static func text(_ line: LogLine) -> String {
        let head = "\(line.time.rfc3339) \(line.level.rawValue.uppercased()) \(message(line))"
        return ([head] + pairs(line)).joined(separator: " ")
    }

    private static func terminal(_ line: LogLine, _ zone: TimeZone) -> String {
        let time = timeOfDay(line.time.seconds, zone)
        if let request = request(line) { return "\(time)  \(request)" }
        let level = line.level >= .warning ? "\(line.level.rawValue.uppercased()): " : ""
        return (["\(time)  \(level)\(message(line))"] + pairs(line)).joined(separator: "  ")
    }

    /// Method, path pattern, status and milliseconds; `nil` if the line is not about a request.
    private static func request(_ line: LogLine) -> String? {
        guard line.message == "request", let method = line.value("method"), let route = line.value("route"),
            let status = line.value("status"), let time = line.value("ms").flatMap(Double.init)
        else { return nil }
        let milliseconds = time < 10 ? String(format: "%.1f", time) : String(format: "%.0f", time)
        var text = padded(plain(method), to: 7) + padded(plain(route), to: 44) + "\(plain(status))  "
        text += String(repeating: " ", count: max(0, 5 - milliseconds.count)) + "\(milliseconds) ms"
        // A failure has a second line with the same id.
        if status.hasPrefix("5"), let id = line.value("request_id") { text += "  request_id=\(plain(id))" }
        return text
    }

    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func timeOfDay(_ seconds: Int64, _ zone: TimeZone) -> String {
        let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds)))
        let local = Int((seconds + Int64(offset)) % 86_400)
        return [local / 3600, local / 60 % 60, local % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    }

    private static func pairs(_ line: LogLine) -> [String] {
        line.fields.map { "\($0.name)=\(plain($0.value))" }
    }

    /// Quotes a value with a space, so that its end is clear.
    private static func plain(_ value: String) -> String {
        let isPlain = value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0.value != 0x7F }
        return isPlain ? value : quoted(value)
    }

    private static func message(_ line: LogLine) -> String {
        let isOneLine = line.message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        return isOneLine ? line.message : quoted(line.message)
    }

    /// SECURITY: a line break would forge a second line, an escape would move the cursor; JSON's escapes replace them.
    private static func quoted(_ text: String) -> String {
        var writer = JSONWriter()
        writer.string(text)
        return writer.string
    }
}
