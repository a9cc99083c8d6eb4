// Writes answers: members in the code's order, stored JSON copied as bytes.
//
// A type has `write(to:)`, which writes one value, or `writeMembers(to:)`, which writes members of an open object.
package import NIOCore
package import Storage

/// An append-only writer of one JSON text.
///
/// It places the commas; the closures balance the brackets. It does not parse `raw` text, which was checked when it was
/// stored.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init(reserving capacity: Int = 512) {
        bytes.reserveCapacity(capacity)
    }

    package static func object(_ body: (inout JSONWriter) throws -> Void) rethrows -> JSONWriter {
        var writer = JSONWriter()
        try writer.object(body)
        return writer
    }

    /// The text of one value, for many uses with `field(_:raw:)`.
    package static func value(_ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        body(&writer)
        return writer.string
    }

    package var buffer: ByteBuffer { ByteBuffer(bytes: bytes) }
    package var string: String { String(decoding: bytes, as: UTF8.self) }

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

    package mutating func string(_ value: RequestText) { string(value.verbatim) }

    package mutating func string(_ value: UTF8Span) {
        separate()
        quote(value)
    }

    package mutating func integer(_ value: Int64) {
        separate()
        // The sign and the 19 digits of 2⁶³.
        append(upTo: 20) { out in
            if value < 0 { out.append(UInt8(ascii: "-")) }
            var unit: UInt64 = 1
            let magnitude = value.magnitude
            while magnitude / unit >= 10 { unit *= 10 }
            while unit > 0 {
                out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude / unit % 10))
                unit /= 10
            }
        }
    }

    package mutating func instant(_ value: Instant) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        value.appendRFC3339(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func null() { raw("null") }

    package mutating func raw(_ json: String) {
        separate()
        append(json)
    }

    package mutating func raw(_ json: UTF8Span) {
        separate()
        append(json)
    }

    package mutating func field(_ name: StaticString, _ value: String?) {
        key(name)
        if let value { string(value) } else { null() }
    }

    package mutating func field(_ name: StaticString, _ value: RequestText?) {
        field(name, value?.verbatim)
    }

    package mutating func field(_ name: StaticString, _ value: Int64?) {
        key(name)
        if let value { integer(value) } else { null() }
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
        key(name)
        if let value { instant(value) } else { null() }
    }

    package mutating func field(_ name: StaticString, _ values: [String]) {
        array(name) { writer in
            for value in values { writer.string(value) }
        }
    }

    package mutating func field(_ name: StaticString, raw json: String) {
        key(name)
        raw(json)
    }

    /// A member with a caller's name.
    package mutating func member(_ name: RequestText, raw json: String) {
        key(quoting: name.verbatim)
        raw(json)
    }

    package mutating func object(_ name: StaticString, _ body: (inout JSONWriter) throws -> Void) rethrows {
        key(name)
        try object(body)
    }

    /// `body` must write exactly one value.
    package mutating func key(of name: StaticString, _ body: (inout JSONWriter) throws -> Void) rethrows {
        key(name)
        try body(&self)
    }

    package mutating func array(_ name: StaticString, _ body: (inout JSONWriter) throws -> Void) rethrows {
        key(name)
        try array(body)
    }

    package mutating func key(named name: String, _ body: (inout JSONWriter) throws -> Void) rethrows {
        key(quoting: name)
        try body(&self)
    }

    private mutating func key(_ name: StaticString) {
        name.withUTF8Buffer { key($0) }
    }

    /// For a name of ours; callers' names need `key(quoting:)`.
    mutating func key(own name: String) {
        var name = name
        name.withUTF8 { key($0) }
    }

    /// Our names need no escapes.
    private mutating func key(_ name: UnsafeBufferPointer<UInt8>) {
        let comma = needsComma
        append(upTo: name.count + 4) { out in
            if comma { out.append(UInt8(ascii: ",")) }
            out.append(UInt8(ascii: "\""))
            out.append(copying: name)
            out.append(UInt8(ascii: "\""))
            out.append(UInt8(ascii: ":"))
        }
        needsComma = false
    }

    private mutating func key(quoting name: String) {
        separate()
        quote(name)
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

    /// Reserves room for `count` bytes once.
    private mutating func append(upTo count: Int, _ body: (inout OutputSpan<UInt8>) -> Void) {
        bytes.append(addingCapacity: count, initializingWith: body)
    }

    private mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }

    private mutating func append(_ text: UTF8Span) {
        text.span.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }

    private mutating func quote(_ text: String) {
        var text = text
        text.withUTF8 { quote($0) }
    }

    private mutating func quote(_ text: UTF8Span) {
        text.span.withUnsafeBufferPointer { quote($0) }
    }

    /// RFC 8259 §7: escapes quotes, backslashes and control characters.
    private mutating func quote(_ utf8: UnsafeBufferPointer<UInt8>) {
        var rest = utf8[...]
        bytes.append(UInt8(ascii: "\""))
        while true {
            // Nearly every text is copied whole.
            let plain = rest.prefix(JSONEscapes.plainPrefix(of: UnsafeBufferPointer(rebasing: rest)))
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: plain))
            rest = rest[plain.endIndex...]
            if rest.isEmpty { break }
            // Escaped bytes come close together, as in JSON within a string.
            let dense = rest.prefix(32)
            append(upTo: dense.count * JSONEscapes.maxLength) { out in
                for byte in dense { JSONEscapes.append(byte, to: &out) }
            }
            rest = rest[dense.endIndex...]
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension OutputSpan<UInt8> {
    fileprivate mutating func append(copying source: UnsafeBufferPointer<UInt8>) {
        withUnsafeMutableBufferPointer { target, count in
            _ = target[count...].update(fromContentsOf: source)
            count += source.count
        }
    }
}
