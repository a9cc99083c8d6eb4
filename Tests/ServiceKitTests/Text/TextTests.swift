import CoreMetrics
import ServiceKit
import Storage
import Testing

@Suite("Text forms")
struct TextTests {
    @Test(
        "instants are written and read as RFC 3339, before 1970 and after 2038",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (2_147_483_648_000_000, "2038-01-19T03:14:08.000000Z"),
            (-2_208_988_800_000_000, "1900-01-01T00:00:00.000000Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ]
    )
    func instants(microseconds: Int64, text: String) {
        #expect(Instant(microseconds: microseconds).rfc3339 == text)
        #expect(Instant(rfc3339: text)?.microseconds == microseconds)
    }

    @Test("offsets and fractions are understood, and nonsense is not")
    func reading() {
        #expect(Instant(rfc3339: "2026-11-21T10:00:00+05:30") == Instant(rfc3339: "2026-11-21T04:30:00Z"))
        #expect(
            Instant(rfc3339: "2026-11-21t04:30:00.1234567z")?.microseconds
                == Instant(rfc3339: "2026-11-21T04:30:00.123456Z")?.microseconds
        )
        for bad in [
            "", "2026-11-21", "2026-02-29T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T04:30:60Z",
            "2026-11-21T04:30:00",
            "2026-11-21T04:30:00.Z", "2026-11-21T04:30:00+5:30", "2026-13-01T00:00:00Z", "2026-11-21T04:30:00Zx",
        ] { #expect(Instant(rfc3339: bad) == nil, "\(bad)") }
    }

    @Test("a time is one of the years 1 to 9999 in UTC, and writing any other stops nobody")
    func calendarEnds() {
        #expect(Instant(rfc3339: "0001-01-01T00:00:00Z") == .distantPast)
        #expect(Instant(rfc3339: "9999-12-31T23:59:59-00:00") == .farFuture)
        for outside in [
            "0000-01-01T00:00:00Z", "0000-12-31T23:59:59.999999Z", "0000-01-01T00:00:00+14:00",
            "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "9999-12-31T00:02:00-23:59",
        ] { #expect(Instant(rfc3339: outside) == nil, "\(outside)") }
        // Clamped to the nearest valid time.
        for (microseconds, text) in [
            (Int64.min, "0001-01-01T00:00:00.000000Z"), (-62_135_596_800_000_001, "0001-01-01T00:00:00.000000Z"),
            (253_402_300_800_000_000, "9999-12-31T23:59:59.999999Z"), (.max, "9999-12-31T23:59:59.999999Z"),
        ] { #expect(Instant(microseconds: microseconds).rfc3339 == text) }
    }

    @Test("metrics are written as Prometheus reads them")
    func prometheus() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "requests.total", dimensions: [("path", "a\"b\\c")]).increment(by: 3)
        registry.makeTimer(label: "duration", dimensions: []).recordNanoseconds(20_000_000)
        registry.makeRecorder(label: "size", dimensions: [], aggregate: false).record(7.5)
        let text = registry.exposition()
        #expect(text.contains("# TYPE requests_total counter\nrequests_total{path=\"a\\\"b\\\\c\"} 3.0\n"))
        #expect(text.contains("duration_bucket{le=\"0.01\"} 0\n") && text.contains("duration_bucket{le=\"0.025\"} 1\n"))
        #expect(text.contains("duration_bucket{le=\"+Inf\"} 1\n") && text.contains("duration_count 1\n"))
        #expect(text.contains("# TYPE size gauge\nsize 7.5\n"))
    }
}
