// What an operation takes in its query. One declaration reads the values and refuses everything else by name. A test
// compares it with openapi.yaml.
import Storage

/// What openapi.yaml says of a parameter.
package struct ParameterSchema: Sendable, Hashable {
    package var type: String
    package var minimum: Int?
    package var maximum: Int?
    package var maxLength: Int?
    package var values: [String] = []
    package var format: String?

    package init(
        type: String,
        minimum: Int? = nil,
        maximum: Int? = nil,
        maxLength: Int? = nil,
        values: [String] = [],
        format: String? = nil
    ) {
        self.type = type
        self.minimum = minimum
        self.maximum = maximum
        self.maxLength = maxLength
        self.values = values
        self.format = format
    }
}

/// A parameter of any type.
package protocol DeclaredParameter: Sendable {
    var name: String { get }
    var schema: ParameterSchema { get }
    var isRequired: Bool { get }
}

/// A parameter that is read as a `Value`.
package struct QueryParameter<Value: Sendable>: DeclaredParameter {
    package let name: String
    package let schema: ParameterSchema
    package private(set) var isRequired = false
    /// Reads the text of the parameter that is named.
    let read: @Sendable (_ text: RequestText, _ name: String) throws(APIError) -> Value

    package init(
        _ name: String,
        _ schema: ParameterSchema,
        read: @escaping @Sendable (_ text: RequestText, _ name: String) throws(APIError) -> Value
    ) {
        self.name = name
        self.schema = schema
        self.read = read
    }

    /// The same parameter, where a request must have it.
    package var required: Self {
        var copy = self
        copy.isRequired = true
        return copy
    }
}

extension QueryParameter<RequestText> {
    package static func text(_ name: String, maxLength: Int? = nil) -> Self {
        Self(name, ParameterSchema(type: "string", maxLength: maxLength)) { text, _ throws(APIError) in text }
    }
}

extension QueryParameter<String> {
    /// One of a few words, in any case.
    package static func word(_ name: String, of words: [String]) -> Self {
        Self(name, ParameterSchema(type: "string", values: words)) { text, name throws(APIError) in
            guard let word = text.keyword, words.contains(word) else {
                throw .field(name, "invalid", "must be one of \(words.joined(separator: "; "))", .oneOf(words))
            }
            return word
        }
    }

    /// The id of a row.
    package static func id(_ name: String) -> Self {
        Self(name, ParameterSchema(type: "string")) { text, name throws(APIError) in
            guard RowID.isValid(text) else { throw .field(name, "invalid", "must be an id") }
            return text.verbatim
        }
    }
}

extension QueryParameter<Bool> {
    package static func boolean(_ name: String) -> Self {
        Self(name, ParameterSchema(type: "boolean")) { text, name throws(APIError) in
            switch text.keyword {
            case "true", "1": true
            case "false", "0": false
            default: throw .field(name, "invalid", "must be true or false", .oneOf(["true", "false"]))
            }
        }
    }
}

extension QueryParameter<Int> {
    package static func integer(_ name: String, in range: ClosedRange<Int>) -> Self {
        let schema = ParameterSchema(type: "integer", minimum: range.lowerBound, maximum: range.upperBound)
        return Self(name, schema) { text, name throws(APIError) in
            guard let value = Int(text.verbatim) else { throw .field(name, "wrong_type", "must be a whole number") }
            guard range.contains(value) else {
                let detail = "must be from \(range.lowerBound) to \(range.upperBound)"
                throw .field(name, "out_of_range", detail, .range(range))
            }
            return value
        }
    }
}

extension QueryParameter<Instant> {
    /// RFC 3339. An offset's plus that was not escaped has become a space, and the refusal says so.
    package static func instant(_ name: String) -> Self {
        Self(name, ParameterSchema(type: "string", format: "date-time")) { text, name throws(APIError) in
            if let instant = Instant(rfc3339: text.verbatim) { return instant }
            let hint = text.utf8.contains(UInt8(ascii: " ")) ? "; the + of an offset is written %2B in a query" : ""
            throw .field(name, "invalid", "must be a time such as 2026-11-21T04:30:00Z\(hint)")
        }
    }
}

extension QueryParameter<Duration> {
    /// A whole number with `s`, `m`, `h` or `d`, of at least a second.
    package static func duration(_ name: String) -> Self {
        Self(name, ParameterSchema(type: "string")) { text, name throws(APIError) in
            let units: [UInt8: Int64] = [0x73: 1, 0x6D: 60, 0x68: 3600, 0x64: 86_400]
            guard let unit = text.utf8.last.flatMap({ units[$0] }),
                let number = Int64(String(Substring(text.utf8.dropLast())))
            else {
                throw .field(name, "invalid", "must be a whole number with s, m, h or d")
            }
            let (seconds, overflow) = number.multipliedReportingOverflow(by: unit)
            guard !overflow else {
                throw .field(
                    name,
                    "out_of_range",
                    "is too long",
                    .atMost("\(Int64.max / unit)\(text.verbatim.suffix(1))")
                )
            }
            return .seconds(seconds)
        }
    }
}

extension QueryParameter where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of an enum's raw values, in any case.
    package static func choice(_ name: String, of type: Value.Type = Value.self) -> Self {
        let words = Value.allCases.map(\.rawValue)
        return Self(name, ParameterSchema(type: "string", values: words)) { text, name throws(APIError) in
            if let choice = text.keyword.flatMap(Value.init(rawValue:)) { return choice }
            throw .field(name, "invalid", "must be one of \(words.joined(separator: ", "))", .oneOf(words))
        }
    }
}

/// What an operation takes in its query.
package struct QueryDeclaration: Sendable {
    package let parameters: [any DeclaredParameter]
    /// Whether the query is read at all.
    package let isRead: Bool

    private init(_ parameters: [any DeclaredParameter], isRead: Bool) {
        self.parameters = parameters
        self.isRead = isRead
    }

    /// These parameters, each once at most, and no others.
    package init(_ parameters: any DeclaredParameter...) {
        self.init(parameters, isRead: true)
    }

    /// No parameter.
    package static let none = QueryDeclaration()
    /// Whatever stands there, as OAuth endpoints and everything that others link to must take it (RFC 6749 §3.1).
    package static let ignored = QueryDeclaration([], isRead: false)

    /// These parameters and more.
    package func and(_ more: any DeclaredParameter...) -> QueryDeclaration {
        QueryDeclaration(parameters + more, isRead: isRead)
    }
}
