// The query of a request, read as its operation declares it.

/// Query parameters by name, each there once at most.
package struct QueryParameters: Sendable {
    private let values: [(name: String, value: RequestText)]
    private let declared: [String]

    /// What was not read.
    package static let empty = QueryParameters(values: [], declared: [])

    private init(values: [(name: String, value: RequestText)], declared: [String]) {
        self.values = values
        self.declared = declared
    }

    /// Refusals that one answer names.
    private static let maxErrors = 16

    /// Reads the query of a target. Throws `bad_request` for one that is malformed, and `validation_failed` with the
    /// name of each parameter that is unknown, repeated or missing.
    package init(_ target: RequestTarget, _ declaration: QueryDeclaration) throws(APIError) {
        guard declaration.isRead else {
            self = .empty
            return
        }
        var errors: [FieldError] = []
        var values: [(name: String, value: RequestText)] = []
        for pair in try target.queryPairs() {
            let parameter = declaration.parameters.first { RequestText($0.name) == pair.name }
            if let parameter, !values.contains(where: { $0.name == parameter.name }) {
                values.append((parameter.name, pair.value))
            } else if errors.count < Self.maxErrors {
                errors.append(Self.refusal(of: pair.name, isKnown: parameter != nil))
            }
        }
        for parameter in declaration.parameters where parameter.isRequired {
            if values.contains(where: { $0.name == parameter.name }) { continue }
            errors.append(FieldError(parameter.name, "required", "is required"))
        }
        guard errors.isEmpty else { throw APIError(.validationFailed, fields: errors) }
        self.init(values: values, declared: declaration.parameters.map(\.name))
    }

    private static func refusal(of name: RequestText, isKnown: Bool) -> FieldError {
        let shown = name.prefix(bytes: 64).verbatim
        return isKnown
            ? FieldError(shown, "repeated_parameter", "must be there once at most")
            : FieldError(shown, "unknown_parameter", "is no query parameter of this operation")
    }

    /// The value of a parameter, or `nil` where it is left out. Throws `validation_failed` for one that cannot be read,
    /// and `internal_error` for one that the operation does not declare.
    package subscript<Value>(_ parameter: QueryParameter<Value>) -> Value? {
        get throws(APIError) {
            guard declares(parameter) else { throw APIError(.internalError) }
            guard let text = self.text(of: parameter) else { return nil }
            return try parameter.read(text, parameter.name)
        }
    }

    /// Whether the operation takes a parameter.
    package func declares(_ parameter: any DeclaredParameter) -> Bool { declared.contains(parameter.name) }

    /// Whether a parameter is there, whatever its value.
    package func has(_ parameter: any DeclaredParameter) -> Bool { text(of: parameter) != nil }

    private func text(of parameter: any DeclaredParameter) -> RequestText? {
        values.first { $0.name == parameter.name }?.value
    }
}

extension RequestTarget {
    /// The pairs of the query as the URL Standard's `application/x-www-form-urlencoded` parser has them (§5.1). Throws
    /// `bad_request` where that parser would guess.
    func queryPairs() throws(APIError) -> [(name: RequestText, value: RequestText)] {
        var pairs: [(name: RequestText, value: RequestText)] = []
        for pair in query.split(separator: UInt8(ascii: "&")) {
            let name = pair.prefix { $0 != UInt8(ascii: "=") }
            pairs.append((try Self.decode(name), try Self.decode(pair[name.endIndex...].dropFirst())))
        }
        return pairs
    }

    private static func decode(_ part: ArraySlice<UInt8>) throws(APIError) -> RequestText {
        guard part.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != 0x23 }) else {
            throw APIError(.badRequest, detail: "The query holds a character that must be percent-encoded.")
        }
        guard !holdsReplacement(part) else {
            throw APIError(.badRequest, detail: PercentEncodingFault.notUTF8.detail(of: "query"))
        }
        do throws(PercentEncodingFault) {
            return RequestText(try PercentEncoding.decode(part, plusIsSpace: true))
        } catch {
            throw APIError(.badRequest, detail: error.detail(of: "query"))
        }
    }

    /// Whether the query has a parameter of this name, in any spelling, for what must be known before a route is.
    package func names(_ name: String) -> Bool {
        query.split(separator: UInt8(ascii: "&")).contains { pair in
            let said = pair.prefix { $0 != UInt8(ascii: "=") }
            return (try? Self.decode(said)) == RequestText(name)
        }
    }
}
