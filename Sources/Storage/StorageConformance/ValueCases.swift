// Every type of value at its limits, in through a parameter and out through a column.

import Storage
import Testing

extension StorageConformance {
    static let valueCases: [ConformanceCase] = [
        ConformanceCase("NULL survives in a column of every type") { subject async throws in
            let row = try await roundTrip(subject)
            for column in row.columns.names { #expect(try row.value(column) == .null) }
        },
        ConformanceCase("booleans survive") { subject async throws in
            for boolean in [true, false] {
                #expect(try await roundTrip(subject, boolean: boolean).boolean("boolean") == boolean)
            }
        },
        ConformanceCase("integers survive up to both ends of 64 bits") { subject async throws in
            for integer in [0, 1, -1, .max, .min, Int64(Int32.max) + 1, Int64(Int32.min) - 1, 1 << 53 + 1] {
                #expect(try await roundTrip(subject, integer: integer).integer("integer") == integer)
            }
        },
        ConformanceCase("text survives: empty, every plane of Unicode, and one mebibyte") { subject async throws in
            let texts = [
                "", " ", "'", "\"; DROP TABLE samples; --", "$1", "\\x41", "日本語", "👩‍👩‍👧‍👦", "e\u{301}", "\u{10FFFF}",
                "\u{1}\t\r\n\u{7F}", String(repeating: "é", count: 512 << 10),
            ]
            for text in texts {
                let back = try await roundTrip(subject, text: text).text("text")
                // Byte for byte: Swift's own comparison treats canonically equivalent strings as equal.
                #expect(Array(back.utf8) == Array(text.utf8))
            }
        },
        ConformanceCase("JSON is kept byte for byte") { subject async throws in
            let json = #"{ "b":1, "a" : 1.0e+2,"a":2, "é":"\u00e9", "big":12345678901234567890 , "o":{} }"#
            #expect(try await roundTrip(subject, text: json).text("text") == json)
        },
        ConformanceCase("text with U+0000 is refused before anything is sent") { subject async throws in
            for text in ["\0", "a\0b", "a\0"] {
                let error = await storageError { _ = try await roundTrip(subject, text: text) }
                guard case .invalidBinding = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            }
            try await expectRows(0, in: "samples", of: subject.database)
        },
        ConformanceCase("bytes survive: empty, every value, and one mebibyte") { subject async throws in
            let mebibyte = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            for bytes in [[], [0], Array(0...255), mebibyte] as [[UInt8]] {
                #expect(try await roundTrip(subject, bytes: bytes).bytes("bytes") == bytes)
            }
        },
        ConformanceCase("instants keep their microsecond, before 1970 and after 2038") { subject async throws in
            let texts = [
                "1970-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.000001Z",
                "1883-11-18T12:03:58.123456Z", "2000-01-01T00:00:00.000000Z", "1999-12-31T23:59:59.999999Z",
                "2038-01-19T03:14:08.000001Z", "2026-03-29T01:30:00.500000Z", "9999-12-31T23:59:59.999999Z",
            ]
            for text in texts {
                let instant = try #require(Instant(rfc3339: text))
                let back = try await roundTrip(subject, instant: instant).instant("instant")
                #expect(back == instant)
                #expect(back.rfc3339 == text)
            }
        },
        ConformanceCase("instants compare by time") { subject async throws in
            let before = Statement(
                "values.before",
                .reads,
                ["instant": .instant],
                "SELECT COUNT(*) AS n FROM samples WHERE instant < :instant"
            )
            for (id, microseconds) in [("a", Int64(-1)), ("b", 0), ("c", 1)] {
                _ = try await subject.database.run(
                    Fixtures.insertSample(id, instant: Instant(microseconds: microseconds))
                )
            }
            #expect(
                try await subject.database.run(before.bind(["instant": Instant(microseconds: 1)])).first?.int("n") == 2
            )
        },
        ConformanceCase("text sorts by its bytes") { subject async throws in
            for id in ["b", "B", "a", "é", "Z", "_", "1", "ab"] { _ = try await roundTrip(subject, id: id) }
            let sorted = Statement("values.sorted", .reads, "SELECT id FROM samples ORDER BY id")
            let ids = try await subject.database.run(sorted.bind()).rows.map { try $0.text("id") }
            #expect(ids == ["1", "B", "Z", "_", "a", "ab", "b", "é"])
        },
        ConformanceCase("a sum of integers is an integer") { subject async throws in
            let values: [Int64] = [1 << 40, 10_000, -20_000, 7]
            for (index, value) in values.enumerated() {
                _ = try await roundTrip(subject, id: "s\(index)", integer: value)
            }
            let sum = Statement(
                "values.sum",
                .reads,
                "SELECT CAST(SUM(integer) AS BIGINT) AS a, SUM(integer) AS b FROM samples"
            )
            let row = try #require(try await subject.database.run(sum.bind()).first)
            #expect(try row.integer("a") == values.reduce(0, +))
            #expect(try row.integer("b") == values.reduce(0, +))
        },
    ]

    /// Inserts a row with the given values and reads it back.
    private static func roundTrip(
        _ subject: ConformanceSubject,
        id: String = "x",
        boolean: Bool? = nil,
        integer: Int64? = nil,
        text: String? = nil,
        bytes: [UInt8]? = nil,
        instant: Instant? = nil
    ) async throws -> Row {
        let clear = Statement("values.clear", .writes, ["id": .text], "DELETE FROM samples WHERE id = :id")
        let insert = Fixtures.insertSample(
            id,
            boolean: boolean,
            integer: integer,
            text: text,
            bytes: bytes,
            instant: instant
        )
        _ = try await subject.database.run(Transaction([clear.bind(["id": id]), insert]))
        return try #require(try await subject.database.run(Fixtures.readSample(id)).first)
    }

    /// Expects a number of rows in a table of the suite.
    static func expectRows(
        _ expected: Int,
        in table: String,
        of database: any SQLDatabase,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let count = Statement("fixtures.count_\(table)", .reads, "SELECT COUNT(*) AS n FROM \(table)")
        let rows = try await database.run(count.bind()).first?.int("n")
        #expect(rows == expected, "rows in \(table)", sourceLocation: sourceLocation)
    }
}
