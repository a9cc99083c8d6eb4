// A parsed JSON text that remembers its bytes.
//
// Stored JSON (`parts`, `metadata`) is kept byte for byte, unknown members included, so a parser that forgets the
// source would not do. Each element knows where it stands in the text it came from.

/// One value of a JSON text (RFC 8259).
package struct JSONElement: Sendable {
    package enum Kind: Sendable {
        case null
        case boolean(Bool)
        /// As written; `integer` and `double` interpret it.
        case number(String)
        case string(String)
        case array([JSONElement])
        case object([Member])
    }

    package struct Member: Sendable {
        package let name: String
        package let value: JSONElement

        package var key: MemberName { MemberName(name) }
    }

    package let kind: Kind
    let source: Source
    let range: Range<Int>

    /// The bytes of the whole text, shared by all its elements.
    final class Source: Sendable {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
    }

    /// The element exactly as it was written.
    package var raw: String { String(decoding: source.bytes[range], as: UTF8.self) }

    /// How many bytes the element takes as written.
    package var byteCount: Int { range.count }

    package var isNull: Bool {
        if case .null = kind { true } else { false }
    }

    package var string: String? {
        if case .string(let value) = kind { value } else { nil }
    }

    package var boolean: Bool? {
        if case .boolean(let value) = kind { value } else { nil }
    }

    /// The number when it is written as a whole number that fits; `1.0` and `1e3` are not.
    package var integer: Int64? {
        if case .number(let text) = kind { Int64(text) } else { nil }
    }

    package var array: [JSONElement]? {
        if case .array(let elements) = kind { elements } else { nil }
    }

    package var object: [Member]? {
        if case .object(let members) = kind { members } else { nil }
    }

    /// The member of an object, or `nil` when the element is no object or has no such member.
    package subscript(name: String) -> JSONElement? {
        object?.first { $0.name == name }?.value
    }

    /// What a caller calls this kind of value.
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

/// A member's name for sets and dictionaries: equal only where every byte is. `String` takes texts for equal that Unicode
/// says look the same, and RFC 8259 §8.3 takes them for two.
package struct MemberName: Sendable, Hashable {
    private let text: String

    package init(_ text: String) { self.text = text }

    package static func == (left: MemberName, right: MemberName) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }
}
