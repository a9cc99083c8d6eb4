// Builds a tree of a JSON text. The scanner checks the text; this stores its ranges.
package import StrictJSON

extension JSONElement {
    /// For request bodies and stored JSON. PostgreSQL cannot store U+0000.
    private static let limits = JSONLimits(depth: 64, refusesNUL: true)

    package static func parse(_ bytes: [UInt8]) throws(JSONSyntaxError) -> JSONElement {
        var scanner = JSONScanner(bytes, limits: limits)
        let element = try JSONElement(scanner.next(), Source(bytes), &scanner)
        // Throws if anything follows the value.
        _ = try scanner.next()
        return element
    }

    package static func parse(_ text: String) throws(JSONSyntaxError) -> JSONElement {
        try parse(Array(text.utf8))
    }

    private init(_ event: JSONEvent, _ source: Source, _ scanner: inout JSONScanner) throws(JSONSyntaxError) {
        let start = scanner.start
        let kind: Kind
        switch event {
        case .beginObject:
            var members: [Member] = []
            while case .name(let name) = try scanner.next() {
                let value = try JSONElement(scanner.next(), source, &scanner)
                members.append(Member(name: RequestText(scanner.string(name)), value: value))
            }
            kind = .object(members)
        case .beginArray:
            var elements: [JSONElement] = []
            var next = try scanner.next()
            while next != .endArray {
                elements.append(try JSONElement(next, source, &scanner))
                next = try scanner.next()
            }
            kind = .array(elements)
        case .string(let text): kind = .string(RequestText(scanner.string(text)))
        case .number(let number): kind = .number(String(decoding: source.bytes[number.range], as: UTF8.self))
        case .boolean(let value): kind = .boolean(value)
        case .null, .name, .endObject, .endArray, .end: kind = .null
        }
        self.init(kind: kind, source: source, range: start..<scanner.offset)
    }
}
