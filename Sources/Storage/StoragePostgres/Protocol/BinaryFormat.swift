// PostgreSQL's binary format, both ways.
//
// Binary values depend on no setting of the server (TimeZone, DateStyle, bytea_output) and need no parser. Integers are
// big-endian; a `timestamptz` counts microseconds since 2000-01-01.

import Storage

/// The types by their OIDs in `pg_type`, which never change.
enum TypeOID {
    static func of(_ type: SQLType) -> UInt32 {
        switch type {
        case .boolean: 16
        case .bytes: 17
        case .integer: 20
        case .text: 25
        case .instant: 1184
        // tsvector
        case .words: 3614
        }
    }
}

enum BinaryFormat {
    /// Microseconds from 1970 to 2000.
    private static let epoch: Int64 = 946_684_800_000_000

    // MARK: - Parameters

    /// Appends the bytes of a value and returns their count, or `nil` for NULL, which has none.
    ///
    /// An instant that `canEncode` refuses becomes the nearest valid one; values are checked before they get here.
    static func append(_ value: SQLValue, to buffer: inout [UInt8]) -> Int? {
        let start = buffer.count
        switch value {
        case .null: return nil
        case .boolean(let boolean): buffer.append(boolean ? 1 : 0)
        case .integer(let integer): append(bigEndian: integer, to: &buffer)
        case .text(let text): buffer.append(contentsOf: text.utf8)
        case .bytes(let bytes): buffer.append(contentsOf: bytes)
        case .instant(let instant):
            let (microseconds, overflow) = instant.microseconds.subtractingReportingOverflow(epoch)
            append(bigEndian: overflow ? .min : microseconds, to: &buffer)
        case .words(let words): append(words, to: &buffer)
        }
        return buffer.count - start
    }

    /// `tsvectorsend`: the count of lexemes, then for each its bytes, a zero, the count of its positions and the
    /// positions. The server sorts them.
    private static func append(_ words: IndexedWords, to buffer: inout [UInt8]) {
        let lexemes = words.positions
        append(bigEndian: UInt32(lexemes.count), to: &buffer)
        for (word, positions) in lexemes {
            buffer.append(contentsOf: word)
            buffer.append(0)
            append(bigEndian: UInt16(positions.count), to: &buffer)
            for position in positions { append(bigEndian: position, to: &buffer) }
        }
    }

    private static func append(bigEndian integer: some FixedWidthInteger & UnsignedInteger, to buffer: inout [UInt8]) {
        for shift in stride(from: integer.bitWidth - 8, through: 0, by: -8) {
            buffer.append(UInt8(truncatingIfNeeded: integer >> shift))
        }
    }

    /// Whether an instant lies in the range of `timestamptz`, whose epoch is thirty years later.
    static func canEncode(_ instant: Instant) -> Bool {
        !instant.microseconds.subtractingReportingOverflow(epoch).overflow
    }

    private static func append(bigEndian integer: Int64, to buffer: inout [UInt8]) {
        let bits = UInt64(bitPattern: integer)
        for shift in stride(from: 56, through: 0, by: -8) { buffer.append(UInt8(truncatingIfNeeded: bits >> shift)) }
    }

    // MARK: - Results

    /// Appends the value in `bytes`, which libpq lends for the length of the call. Returns whether it is well formed
    /// and of a type that a statement may return.
    @unsafe static func append(_ bytes: UnsafeRawBufferPointer, oid: UInt32, to row: inout RowBuilder) -> Bool {
        switch oid {
        case 16:
            guard bytes.count == 1 else { return false }
            row.append(unsafe bytes[0] != 0)
        case 17: unsafe row.append(bytes: bytes)
        case 20: return append(unsafe signed(bytes, width: 8), to: &row)
        case 21: return append(unsafe signed(bytes, width: 2), to: &row)
        case 23: return append(unsafe signed(bytes, width: 4), to: &row)
        // oid
        case 26: return append(unsafe signed(bytes, width: 4).map { $0 & 0xFFFF_FFFF }, to: &row)
        // "char", name, text, unknown, bpchar, varchar
        case 18, 19, 25, 705, 1042, 1043: return unsafe row.append(utf8: bytes)
        // timestamp, timestamptz
        case 1114, 1184:
            guard let instant = unsafe instant(bytes) else { return false }
            row.append(instant)
        case 1700: return append(unsafe numeric([UInt8](bytes)), to: &row)
        // void, the result of pg_notify and the advisory locks
        case 2278: row.appendNull()
        default: return false
        }
        return true
    }

    private static func append(_ integer: Int64?, to row: inout RowBuilder) -> Bool {
        guard let integer else { return false }
        row.append(integer)
        return true
    }

    @unsafe private static func signed(_ bytes: UnsafeRawBufferPointer, width: Int) -> Int64? {
        guard bytes.count == width else { return nil }
        var value: UInt64 = 0
        for index in 0..<width { value = unsafe value << 8 | UInt64(bytes[index]) }
        // The sign bit moves to the top and back down.
        let shift = 64 - 8 * width
        return Int64(bitPattern: value << shift) >> shift
    }

    @unsafe private static func instant(_ bytes: UnsafeRawBufferPointer) -> Instant? {
        guard let microseconds = unsafe signed(bytes, width: 8) else { return nil }
        // The extremes are the infinities, which none of our columns holds.
        let (sum, overflow) = microseconds.addingReportingOverflow(epoch)
        return overflow || microseconds == .min ? nil : Instant(microseconds: sum)
    }

    /// `SUM` of a bigint is a `numeric`: groups of four decimal digits. A whole number that fits becomes an integer;
    /// anything else is refused.
    private static func numeric(_ bytes: [UInt8]) -> Int64? {
        guard bytes.count >= 8 else { return nil }
        let fields = stride(from: 0, to: bytes.count - 1, by: 2).map { Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]) }
        let (count, sign) = (fields[0], fields[2])
        let weight = Int(Int16(truncatingIfNeeded: fields[1]))
        guard fields.count == 4 + count, sign == 0 || sign == 0x4000 else { return nil }
        if count == 0 { return 0 }
        guard weight >= count - 1, weight <= 4 else { return nil }
        var value: Int64 = 0
        for index in 0...weight {
            let digit = Int64(index < count ? fields[4 + index] : 0)
            let (shifted, overflowed) = value.multipliedReportingOverflow(by: 10_000)
            let (sum, carried) = shifted.addingReportingOverflow(sign == 0 ? digit : -digit)
            if overflowed || carried { return nil }
            value = sum
        }
        return value
    }
}
