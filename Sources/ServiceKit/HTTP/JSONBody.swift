// A request's JSON body, read field by field, with all errors reported at once.
//
// Read the fields, then call `finish()`, which throws one `validation_failed` for every bad or unknown field. Before
// that a bad field's value is a placeholder and must not be used.
import HTTPTypes
package import Hummingbird
import NIOCore
package import Storage
import StrictJSON

/// A field of a PATCH: absent, `null`, or a value.
package enum Patch<Value: Sendable>: Sendable {
    case absent
    case null
    case value(Value)

    package var isPresent: Bool {
        if case .absent = self { false } else { true }
    }

    package var value: Value? {
        if case .value(let value) = self { value } else { nil }
    }
}

package struct JSONBody: Sendable {
    private let members: [RequestText: JSONElement]
    private let path: String
    private var read: Set<String> = []
    package private(set) var errors: [FieldError] = []

    /// Throws `validation_failed` for `path` unless it is an object.
    package init(_ element: JSONElement, path: String = "") throws(APIError) {
        guard let object = element.object else {
            throw .field(path.isEmpty ? "(body)" : path, "wrong_type", "must be an object, not \(element.typeName)")
        }
        self.members = Dictionary(object.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        self.path = path
    }

    /// For optional bodies.
    package static let empty = JSONBody()

    private init() {
        self.members = [:]
        self.path = ""
    }

    package mutating func addError(
        _ name: String,
        _ code: String,
        _ message: String,
        _ params: FieldParams = .none
    ) {
        errors.append(FieldError(path.isEmpty ? name : "\(path).\(name)", code, message, params))
    }

    package mutating func add(_ others: [FieldError]) {
        errors.append(contentsOf: others)
    }

    /// Adds errors of fields that have none yet: a field that could not be read is judged by nothing else.
    package mutating func addRemaining(_ others: [FieldError]) {
        let known = Set(errors.map(\.field))
        errors.append(contentsOf: others.filter { !known.contains($0.field) })
    }

    package mutating func element(_ name: String) -> JSONElement? {
        read.insert(name)
        return members[RequestText(name)]
    }

    package mutating func patchText(_ name: String, max: Int = 1024) -> Patch<RequestText> {
        guard let element = element(name) else { return .absent }
        if element.isNull { return .null }
        guard let text = element.text else {
            addError(name, "wrong_type", "must be a string, not \(element.typeName)")
            return .absent
        }
        guard !text.hasMore(scalarsThan: max) else {
            addError(name, "too_long", "must have at most \(max) characters", .atMost(max))
            return .absent
        }
        return .value(text)
    }

    /// `nil` if absent or null.
    package mutating func text(_ name: String, max: Int = 1024) -> RequestText? {
        patchText(name, max: max).value
    }

    package mutating func requiredText(_ name: String, max: Int = 1024) -> RequestText {
        let before = errors.count
        guard let text = text(name, max: max) else {
            if errors.count == before { addError(name, "required", "is required") }
            return ""
        }
        return text
    }

    /// One of an enum's raw values, in any case of letters.
    package mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String,
        of type: Choice.Type
    ) -> Choice? where Choice.RawValue == String {
        guard let text = text(name) else { return nil }
        if let choice = text.keyword.flatMap(Choice.init(rawValue:)) { return choice }
        let known = Choice.allCases.map(\.rawValue)
        addError(name, "invalid", "must be one of \(known.joined(separator: ", "))", .oneOf(known))
        return nil
    }

    package mutating func boolean(_ name: String) -> Bool? {
        guard let element = element(name), !element.isNull else { return nil }
        if let value = element.boolean { return value }
        addError(name, "wrong_type", "must be a boolean, not \(element.typeName)")
        return nil
    }

    package mutating func integer(_ name: String, in range: ClosedRange<Int64>) -> Int64? {
        guard let element = element(name), !element.isNull else { return nil }
        guard let value = element.integer else {
            addError(name, "wrong_type", "must be a whole number, not \(element.typeName)")
            return nil
        }
        guard range.contains(value) else {
            addError(name, "out_of_range", "must be from \(range.lowerBound) to \(range.upperBound)", .range(range))
            return nil
        }
        return value
    }

    package mutating func instant(_ name: String) -> Instant? {
        guard let text = text(name) else { return nil }
        if let instant = Instant(rfc3339: text.verbatim) { return instant }
        addError(name, "invalid", "must be an RFC 3339 time")
        return nil
    }

    package mutating func array(_ name: String, count: ClosedRange<Int>) -> [JSONElement]? {
        guard let element = element(name), !element.isNull else { return nil }
        guard let elements = element.array else {
            addError(name, "wrong_type", "must be an array, not \(element.typeName)")
            return nil
        }
        guard count.contains(elements.count) else {
            let detail = "must have from \(count.lowerBound) to \(count.upperBound) elements"
            addError(name, "out_of_range", detail, .range(count))
            return nil
        }
        return elements
    }

    package mutating func texts(_ name: String, count: ClosedRange<Int>, max: Int = 1024) -> [RequestText]? {
        guard let elements = array(name, count: count) else { return nil }
        let texts = elements.compactMap(\.text)
        guard texts.count == elements.count, !texts.contains(where: { $0.hasMore(scalarsThan: max) }) else {
            addError(name, "wrong_type", "must hold strings of at most \(max) characters", .atMost(max))
            return nil
        }
        return texts
    }

    package mutating func rawObject(_ name: String, max: Int) -> String? {
        guard let element = element(name), !element.isNull else { return nil }
        guard element.object != nil else {
            addError(name, "wrong_type", "must be an object, not \(element.typeName)")
            return nil
        }
        guard element.byteCount <= max else {
            addError(name, "too_long", "must be at most \(max) bytes", .atMost(max))
            return nil
        }
        return element.raw
    }

    /// For members of a PATCH that cannot be cleared: `null` would change nothing, in silence.
    package mutating func refuseNull(_ names: String...) {
        for name in names where element(name)?.isNull == true {
            addError(name, "wrong_type", "must not be null; leave it out to keep what is there")
        }
    }

    /// Throws all errors, unknown members included.
    package mutating func finish() throws(APIError) {
        let known = Set(read.map { RequestText($0) })
        let unknown = members.keys.filter { !known.contains($0) }
        for name in unknown.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            addError(name.prefix(bytes: 64).verbatim, "unknown_field", "is not known here")
        }
        if !errors.isEmpty { throw APIError(.validationFailed, fields: errors) }
    }
}

extension Request {
    /// Throws `unsupported_media_type`, `body_missing`, `body_too_large` or `invalid_json`.
    package func jsonBody(limit: Int) async throws -> JSONBody {
        try await JSONBody(jsonElement(limit: limit))
    }

    /// A request without a body reads as an empty object.
    package func optionalJSONBody(limit: Int) async throws -> JSONBody {
        try await optionalJSONElement(limit: limit).map { try JSONBody($0) } ?? .empty
    }

    package func jsonElement(limit: Int) async throws -> JSONElement {
        if hasBody { try requireJSON() }
        let bytes = try await bodyBytes(limit: limit)
        guard !bytes.isEmpty else { throw APIError(.bodyMissing) }
        try requireJSON()
        return try await Self.parse(bytes)
    }

    package func optionalJSONElement(limit: Int) async throws -> JSONElement? {
        if hasBody { try requireJSON() }
        let bytes = try await bodyBytes(limit: limit)
        if bytes.isEmpty { return nil }
        try requireJSON()
        return try await Self.parse(bytes)
    }

    /// Whether a body will come. What the head is enough to refuse is refused before the body is read, since the client
    /// may wait with sending it (RFC 9110 §10.1.1). Chunks may be none, unless the client waits for leave to send them.
    private var hasBody: Bool {
        headers[.contentLength].map { $0 != "0" } ?? (headers[.transferEncoding] != nil && headers[.expect] != nil)
    }

    /// SECURITY: a form or `text/plain` can be posted across sites without a preflight; JSON cannot.
    private func requireJSON() throws(APIError) {
        guard mediaType == "application/json" else { throw APIError(.unsupportedMediaType) }
    }

    private static func parse(_ bytes: [UInt8]) async throws -> JSONElement {
        try await RequestScope.takeToParse(bytes)
        do throws(JSONSyntaxError) {
            return try JSONElement.parse(bytes)
        } catch {
            throw APIError(error.code, detail: error.description)
        }
    }
}

extension JSONSyntaxError {
    /// `invalid_json` for what is none. What RFC 8259 allows and this server does not take has codes of its own.
    fileprivate var code: ErrorCode {
        switch reason {
        case .escapedNUL: .jsonNUL
        case .duplicateName: .jsonDuplicateName
        case .tooDeep: .jsonTooDeep
        case .loneSurrogate: .jsonLoneSurrogate
        default: .invalidJSON
        }
    }
}
