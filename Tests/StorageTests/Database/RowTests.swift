import Storage
import Testing

@Suite("Rows")
struct RowTests {
    private static let columns = Columns(["id", "seq", "at", "live", "data", "note"])

    private static func rows(_ count: Int) -> [Row] {
        var builder = RowBuilder(columns)
        for number in 0..<Int64(count) {
            builder.append(.text("row \(number), \(String(repeating: "é", count: Int(number)))"))
            builder.append(number + 5)
            builder.append(Instant(microseconds: -number))
            builder.append(number % 2 == 0)
            [UInt8](repeating: 0xFF, count: Int(number)).withUnsafeBytes { builder.append(bytes: $0) }
            if number == 1 { builder.append("only here") } else { builder.appendNull() }
        }
        return builder.rows()
    }

    @Test("each row has its own values, whatever the order in which they are read")
    func values() throws {
        for (number, row) in Self.rows(4).enumerated() {
            #expect(try row.optionalText("note") == (number == 1 ? "only here" : nil))
            #expect(try row.bytes("data").count == number)
            #expect(try row.boolean("live") == (number % 2 == 0))
            #expect(try row.text("id") == "row \(number), \(String(repeating: "é", count: number))")
            #expect(try row.instant("at") == Instant(microseconds: Int64(-number)))
            #expect(try row.int("seq") == number + 5)
            let lent = try row.withText("id") { $0.span.withUnsafeBufferPointer(Array.init) }
            #expect(try lent == Array(row.text("id").utf8))
        }
        #expect(Self.rows(0).isEmpty)
    }

    @Test("a column that is not there, or of another kind, is an error and never an empty value")
    func kinds() throws {
        let row = Self.rows(2)[1]
        let reads: [String: (String) throws -> Void] = [
            "id": { _ = try row.optionalText($0) }, "seq": { _ = try row.optionalInteger($0) },
            "at": { _ = try row.optionalInstant($0) }, "live": { _ = try row.optionalBoolean($0) },
            "data": { _ = try row.optionalBytes($0) },
        ]
        for (column, read) in reads {
            try read(column)
            for name in ["no column", "note"] + reads.keys where name != column {
                // SQLite's integer is also a time.
                if column == "at", name == "seq" { continue }
                if column == "id", name == "note" { continue }
                #expect(throws: StorageError.invalidRow(column: name), "\(name) as \(column)") { try read(name) }
            }
        }
        #expect(throws: StorageError.invalidRow(column: "seq")) { try row.withOptionalText("seq") { _ in } }
        // SQLite's booleans are 0 and 1; 2 is none.
        let numbers = Row(["none": 0, "some": 1, "more": 2])
        #expect(try !numbers.boolean("none") && numbers.boolean("some"))
        #expect(throws: StorageError.invalidRow(column: "more")) { try numbers.boolean("more") }
        let nothing = Row(["text": SQLValue.null])
        #expect(throws: StorageError.invalidRow(column: "text")) { try nothing.text("text") }
    }

    @Test("a name that two columns have means the first of them")
    func repeatedNames() throws {
        let row = Row(["id": "first", "x": 1, "id": "second"])
        for _ in 0..<3 {
            #expect(try row.text("id") == "first")
            #expect(try row.int("x") == 1)
        }
    }

    @Test("an ASCII text knows that it is one", arguments: ["01960000-0000-7000-8000-000000000001", "", "short"])
    func knownASCII(text: String) throws {
        var builder = RowBuilder(Columns(["given", "read"]))
        builder.append(text)
        let isText = Array(text.utf8).withUnsafeBytes { builder.append(utf8: $0) }
        #expect(isText)
        let row = builder.rows()[0]
        // Strings without the ASCII flag are hashed and compared several times slower.
        for column in ["given", "read"] {
            let isASCII = try row.text(column).utf8Span.isKnownASCII
            #expect(isASCII)
        }
    }

    @Test(
        "bytes that are no text are not taken for one",
        arguments: [[0xFF], [0x61, 0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80], [0xF4, 0x90, 0x80, 0x80]] as [[UInt8]]
    )
    func malformed(bytes: [UInt8]) throws {
        var builder = RowBuilder(Columns(["text"]))
        #expect(bytes.withUnsafeBytes { builder.append(utf8: $0) } == false)
        #expect(
            "a\u{E9}\u{1F600}".utf8.withContiguousStorageIfAvailable {
                builder.append(utf8: UnsafeRawBufferPointer($0))
            } == true
        )
        #expect(try builder.rows().map { try $0.text("text") } == ["a\u{E9}\u{1F600}"])
    }
}
