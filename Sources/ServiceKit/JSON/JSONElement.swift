// A parsed JSON text that remembers its bytes. Stored JSON (`parts`, `metadata`) is kept byte for byte, so each element
// knows its range in the source.

package struct JSONElement: Sendable {
    package enum Kind: Sendable {
        case null
        case boolean(Bool)
        /// As written; `integer` and `double` interpret it.
        case number(String)
        case string(RequestText)
        case array([JSONElement])
        case object([Member])
    }

    package struct Member: Sendable {
        package let name: RequestText
        package let value: JSONElement
    }

    package let kind: Kind
    let source: Source
    let range: Range<Int>

    final class Source: Sendable {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
    }

    package var raw: String { String(decoding: source.bytes[range], as: UTF8.self) }

    package var byteCount: Int { range.count }

    package var isNull: Bool {
        if case .null = kind { true } else { false }
    }

    package var text: RequestText? {
        if case .string(let value) = kind { value } else { nil }
    }

    package var boolean: Bool? {
        if case .boolean(let value) = kind { value } else { nil }
    }

    /// `nil` unless it is written as a whole number that fits; `1.0` and `1e3` are not.
    package var integer: Int64? {
        if case .number(let text) = kind { Int64(text) } else { nil }
    }

    package var array: [JSONElement]? {
        if case .array(let elements) = kind { elements } else { nil }
    }

    package var object: [Member]? {
        if case .object(let members) = kind { members } else { nil }
    }

    package subscript(name: String) -> JSONElement? {
        object?.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// For error messages.
    package var typeName: String {
        switch kind {
        case .null: "null"
        case .boolean: "boolean"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

/// A member's name for sets and dictionaries, compared by bytes (RFC 8259 §8.3). `String` compares by Unicode
/// equivalence.
