import Logging
import Synchronization
import Testing

@testable import ServiceKit

@Suite("Allowed origins")
struct AllowedOriginTests {
    @Test("in development every page of this machine may call, at any port, and no other")
    func loopback() {
        let allowed = AllowedOrigins(["https://app.test"], loopback: true)
        for origin in [
            "http://localhost", "http://localhost:3000", "https://localhost:5173", "http://127.0.0.1:1",
            "http://127.9.9.9", "http://[::1]", "http://[::1]:65535", "https://app.test",
        ] {
            #expect(allowed.contains(RequestText(origin)), "\(origin)")
        }
        for origin in [
            "", "null", "http://", "http://localhost.evil.test", "http://127.0.0.1.evil.test", "http://localhost:",
            "http://localhost:x", "http://localhost:123456", "http://localhost:1:2", "http://evil.test:3000",
            "http://128.0.0.1", "http://[::1]evil", "http://[::2]", "http://[::1", "ftp://localhost",
            "http://LOCALHOST",
            "http://localhost/", "http://x@localhost", "http://127.1", "localhost:3000", "http://[127.0.0.1]",
        ] {
            #expect(!allowed.contains(RequestText(origin)), "\(origin)")
        }
        #expect(!AllowedOrigins(["https://app.test"]).contains("http://localhost:3000"))
        #expect(AllowedOrigins([]).isEmpty && !AllowedOrigins([], loopback: true).isEmpty)
    }

    @Test("a refused origin is named once, and of many only so many")
    func refused() {
        let lines = Mutex<[String]>([])
        let keeper = Keeper { line in lines.withLock { $0.append(line) } }
        let logger = Logger(label: "test", factory: { _ in keeper })
        let refused = RefusedOrigins()
        for origin in ["https://a.test", "https://a.test", "https://b.test", "https://a.test", "a\u{1b}[2J", "é"] {
            refused.note(RequestText(origin), logger)
        }
        refused.note(RequestText(String(repeating: "x", count: 129)), logger)
        #expect(
            lines.withLock { $0 } == ["https://a.test TESSERA_CORS_ORIGINS", "https://b.test TESSERA_CORS_ORIGINS"]
        )
        for number in 0..<1000 { refused.note(RequestText("https://\(number).test"), logger) }
        #expect(lines.withLock { $0.count } == RefusedOrigins.limit + 1, "the last line says that there are more")
    }

    private struct Keeper: LogHandler {
        let keep: @Sendable (String) -> Void
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        init(_ keep: @escaping @Sendable (String) -> Void) { self.keep = keep }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = ["origin", "setting"].compactMap { event.metadata?[$0].map { "\($0)" } }
            keep(fields.joined(separator: " "))
        }
    }
}
