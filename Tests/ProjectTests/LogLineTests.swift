import Foundation
import Logging
import Testing

@testable import tessera

@Suite("Log lines")
struct LogLineTests {
    private static let forged = "a\nb\u{1B}[31m\u{7F}\" c"

    private static func event(_ message: String, _ level: Logger.Level = .info) -> LogEvent {
        LogEvent(
            level: level,
            message: "\(message)",
            metadata: nil,
            source: "test",
            file: #fileID,
            function: #function,
            line: #line
        )
    }

    @Test("whatever is logged, it stays one line without control characters", arguments: [true, false])
    func oneLine(isJSON: Bool) throws {
        let handler = LineLogHandler(logLevel: .info, isJSON: isJSON)
        let line = handler.line("now", Self.event("message \(Self.forged)"), ["key": "\(Self.forged)"])
        #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(line)")
    }

    @Test("a JSON line has the fields that a collector looks for")
    func json() throws {
        let line = LineLogHandler(logLevel: .info, isJSON: true)
            .line("2026-01-02T03:04:05Z", Self.event("request", .warning), ["request_id": "abc", "status": "200"])
        let fields = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(fields.count == 5)
        #expect(fields["at"] == "2026-01-02T03:04:05Z")
        #expect(fields["level"] == "warning")
        #expect(fields["message"] == "request")
        #expect(fields["request_id"] == "abc")
        #expect(fields["status"] == "200")
    }

    @Test("a text line is for people: time, level, message, then the fields in order")
    func text() {
        let line = LineLogHandler(logLevel: .info, isJSON: false)
            .line("now", Self.event("request"), ["status": "200", "path": "a b"])
        #expect(line == #"now INFO request path="a b" status=200"#)
    }
}
