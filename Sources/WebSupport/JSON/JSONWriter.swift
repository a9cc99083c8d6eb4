// Writes answers: members in the order the code names them, stored JSON copied in as bytes.
public import NIOCore
package import Storage

/// An append-only writer of one JSON text.
///
/// Commas are its business; balance is the closures'. It never parses what `raw` hands it: that is JSON which was
/// checked when it was stored.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(reserving capacity: Int = 512) {
        bytes.reserveCapacity(capacity)
    }

    /// Writes one object as a whole text.
    package static func object(_ body: (inout JSONWriter) throws -> Void) rethrows -> JSONWriter {
        var writer = JSONWriter()
        try writer.object(body)
        return writer
    }

    /// The text of one value, to be copied into many texts with `field(_:raw:)`.
    package static func value(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        body(&writer)
        return writer.string
    }

    package var buffer: ByteBuffer { ByteBuffer(bytes: bytes) }
    package var string: String { String(decoding: bytes, as: UTF8.self) }

    // MARK: Values

    package mutating func object(_ body: (inout JSONWriter) throws -> Void) rethrows {
        begin(UInt8(ascii: "{"))
        try body(&self)
        end(UInt8(ascii: "}"))
    }

    package mutating func array(_ body: (inout JSONWriter) throws -> Void) rethrows {
        begin(UInt8(ascii: "["))
        try body(&self)
        end(UInt8(ascii: "]"))
    }

    package mutating func string(_ value: String) {
        separate()
        quote(value)
    }

    package mutating func integer(_ value: Int64) {
        separate()
        bytes.append(contentsOf: String(value).utf8)
    }

    package mutating func raw(_ json: String) {
        separate()
        bytes.append(contentsOf: json.utf8)
    }

    // MARK: Members

    package mutating func field(_ name: StaticString, _ value: String?) {
        key(name)
        if let value { string(value) } else { raw("null") }
    }

    package mutating func field(_ name: StaticString, _ value: Int64?) {
        key(name)
        if let value { integer(value) } else { raw("null") }
    }

    @_disfavoredOverload
    package mutating func field(_ name: StaticString, _ value: Int) {
        field(name, Int64(value))
    }

    package mutating func field(_ name: StaticString, _ value: Bool?) {
        key(name)
        raw(value.map { $0 ? "true" : "false" } ?? "null")
    }

    package mutating func field(_ name: StaticString, _ value: Instant?) {
        guard let value else { return field(name, raw: "null") }
        key(name)
        separate()
        bytes.append(UInt8(ascii: "\""))
        value.appendRFC3339(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func field(_ name: StaticString, _ values: [String]) {
        array(name) { writer in
            for value in values { writer.string(value) }
        }
    }

    /// A member whose value is JSON as stored.
    package mutating func field(_ name: StaticString, raw json: String) {
        key(name)
        raw(json)
    }

    /// A member whose name is a caller's own.
    package mutating func member(_ name: String, raw json: String) {
        separate()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
        raw(json)
    }

    package mutating func object(_ name: StaticString, _ body: (inout JSONWriter) throws -> Void) rethrows {
        key(name)
        try object(body)
    }

    /// A member whose value `body` writes, which must be exactly one value.
    package mutating func key(of name: StaticString, _ body: (inout JSONWriter) throws -> Void) rethrows {
        key(name)
        try body(&self)
    }

    package mutating func array(_ name: StaticString, _ body: (inout JSONWriter) throws -> Void) rethrows {
        key(name)
        try array(body)
    }

    /// A member whose name is known at run time only.
    package mutating func key(named name: String, _ body: (inout JSONWriter) throws -> Void) rethrows {
        separate()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
        try body(&self)
    }

    // MARK: Bytes

    private mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        // Our own names hold nothing that would have to be escaped.
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    /// RFC 8259 §7: quotes, backslashes and control characters are escaped; the rest is UTF-8 as it is.
    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { utf8 in
            // Nearly every text is copied whole.
            if utf8.contains(where: Self.isEscaped) {
                for byte in utf8 { append(escaping: byte) }
            } else {
                bytes.append(contentsOf: utf8)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func append(escaping byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): bytes.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "\"")])
        case UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "\\")])
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x0D: bytes.append(contentsOf: "\\r".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0..<0x20:
            let digits = Array("0123456789abcdef".utf8)
            bytes.append(contentsOf: "\\u00".utf8)
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 0xF)])
        default: bytes.append(byte)
        }
    }
}
