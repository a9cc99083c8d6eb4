import CoreMetrics
import ServiceKit
import Storage
import Testing

@Suite("Edges of text forms")
struct TextEdgeTests {
    @Test("a label's value cannot break a line, and its name is one that Prometheus takes")
    func labels() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "a-b.c", dimensions: [("na me", "x\ny\"z\\")]).increment(by: 1)
        let text = registry.exposition()
        #expect(text == "# TYPE a_b_c counter\na_b_c{na_me=\"x\\ny\\\"z\\\\\"} 1.0\n")
    }

    @Test("one series is one line, however often it is asked for, in a stable order")
    func series() {
        let registry = PrometheusRegistry()
        for value in ["b", "a", "b"] { registry.makeCounter(label: "n", dimensions: [("x", value)]).increment(by: 1) }
        #expect(registry.exposition() == "# TYPE n counter\nn{x=\"a\"} 1.0\nn{x=\"b\"} 2.0\n")
    }

    @Test("series do not grow without bound, and those that were there go on counting")
    func bounded() {
        let registry = PrometheusRegistry()
        for index in 0..<10_050 { registry.makeCounter(label: "n", dimensions: [("x", "\(index)")]).increment(by: 1) }
        registry.makeCounter(label: "n", dimensions: [("x", "0")]).increment(by: 1)
        let lines = registry.exposition().split(separator: "\n")
        #expect(lines.count == 10_001)
        #expect(lines.contains("n{x=\"0\"} 2.0"))
    }

    @Test("one IPv4 address is one network in every spelling")
    func mapped() {
        let network = ClientAddress("203.0.113.9").network
        for text in ["::ffff:203.0.113.9", "::FFFF:203.0.113.9", "::ffff:cb00:7109", "0:0:0:0:0:ffff:cb00:7109"] {
            #expect(ClientAddress(text).network == network, "\(text)")
        }
        #expect(ClientAddress("::cb00:7109").network != network, "not mapped: another address")
    }

    @Test("a cursor takes only positions that a row can have")
    func cursors() throws {
        for position in [Int64.min, -300_000_000_000_000_000, 300_000_000_000_000_000, .max] {
            let forged = Cursor(position: position, id: "a").encoded(for: "users")
            #expect(throws: APIError.self, "\(position)") { try Cursor(RequestText(forged), for: "users") }
        }
        for position in [Instant.distantPast.microseconds, 0, 1, Instant.farFuture.microseconds] {
            let cursor = Cursor(position: position, id: "a")
            #expect(try Cursor(RequestText(cursor.encoded(for: "users")), for: "users") == cursor)
        }
    }

    @Test("every day of four centuries is written and read back")
    func calendar() {
        var previous = ""
        for day in stride(from: Int64(-200 * 365), through: 200 * 366, by: 1) {
            let instant = Instant(microseconds: day * 86_400_000_000 + 1)
            let text = instant.rfc3339
            #expect(Instant(rfc3339: text) == instant, "\(text)")
            #expect(text > previous, "answers sort as text")
            previous = text
        }
    }
}
