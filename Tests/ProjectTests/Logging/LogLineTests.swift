import Foundation
import Logging
import Storage
import Testing

@testable import tessera

@Suite("Log lines")
struct LogLineTests {
    private static let forged = "a\nb\u{1B}[31m\u{7F}\" c"
    private static let formats: [LogFormat] = [.json, .text, .terminal(.gmt)]
    private static let request: Logger.Metadata = [
        "service": "auth", "request_id": "abc", "method": "POST", "route": "/v1/login", "status": "200", "ms": "41.268",
    ]

    private static func line(
        _ format: LogFormat,
        _ message: String,
        _ level: Logger.Level = .info,
        _ fields: Logger.Metadata = [:],
        logger: Logger.Metadata = [:]
    ) throws -> String {
        let event = LogEvent(
            level: level,
            message: "\(message)",
            metadata: fields,
            source: "test",
            file: #fileID,
            function: #function,
            line: #line
        )
        let time = try #require(Instant(rfc3339: "2026-01-02T03:04:05Z"))
        return String(decoding: format.bytes(LogLine(event, with: logger, at: time)), as: UTF8.self)
    }

    @Test("whatever is logged, it stays one line without control characters", arguments: formats)
    func oneLine(format: LogFormat) throws {
        let line = try Self.line(format, "message \(Self.forged)", .info, ["key": "\(Self.forged)"])
        #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(line)")
        let request = Self.request.merging(["method": "\(Self.forged)", "route": "\(Self.forged)"]) { $1 }
        let other = try Self.line(format, "request", .info, request)
        #expect(other.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(other)")
    }

    @Test("a JSON line has the fields that a collector looks for")
    func json() throws {
        let line = try Self.line(.json, "request", .warning, ["request_id": "abc", "status": "200"])
        let fields = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(fields.count == 5)
        #expect(fields["at"] == "2026-01-02T03:04:05.000000Z")
        #expect(fields["level"] == "warning")
        #expect(fields["message"] == "request")
        #expect(fields["request_id"] == "abc")
        #expect(fields["status"] == "200")
    }

    @Test("a text line is for people: time, level, message, then the fields in order")
    func text() throws {
        let line = try Self.line(.text, "request", .info, ["status": "200", "path": "a b"])
        #expect(line == #"2026-01-02T03:04:05.000000Z INFO request path="a b" status=200"#)
    }

    @Test("on a terminal a request is its time, method, path pattern, status and milliseconds")
    func terminalRequest() throws {
        let login = try Self.line(.terminal(.gmt), "request", .info, Self.request)
        #expect(login == "03:04:05  POST   /v1/login" + String(repeating: " ", count: 35) + "200     41 ms")
        let failed = Self.request.merging(["status": "500", "ms": "1.25"]) { $1 }
        #expect(try Self.line(.terminal(.gmt), "request", .info, failed).hasSuffix("500    1.2 ms  request_id=abc"))
        let zone = try #require(TimeZone(secondsFromGMT: -5 * 3600))
        #expect(try Self.line(.terminal(zone), "request", .info, Self.request).hasPrefix("22:04:05  POST"))
    }

    @Test("on a terminal everything else is the time, the level when it is a warning or more, and the fields")
    func terminalOther() throws {
        #expect(try Self.line(.terminal(.gmt), "cleaned up", .info, ["rows": "7"]) == "03:04:05  cleaned up  rows=7")
        let warning = try Self.line(.terminal(.gmt), "not ready", .warning, ["error": "a b"])
        #expect(warning == #"03:04:05  WARNING: not ready  error="a b""#)
    }

    @Test("a line names its request once, in every format", arguments: formats)
    func oneRequestID(format: LogFormat) throws {
        let logger: Logger.Metadata = ["hb.request.id": "9f", "request_id": "abc"]
        let line = try Self.line(format, "storage fault", .error, ["request_id": "abc"], logger: logger)
        #expect(line.components(separatedBy: "request_id").count == 2)
        #expect(!line.contains("hb.request.id"))
        // The framework's own lines, from before the id is known.
        #expect(try Self.line(format, "early", logger: ["hb.request.id": "9f"]).contains("hb.request.id"))
    }

    @Test("an event's field replaces its logger's")
    func fields() throws {
        let line = try Self.line(.text, "m", .info, ["a": "2"], logger: ["a": "1", "b": "3"])
        #expect(line.hasSuffix(" m a=2 b=3"))
    }
}
