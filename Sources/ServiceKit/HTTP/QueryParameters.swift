// Query parameters by name, the first of each. Invalid values are refused.
package import Hummingbird

package struct QueryParameters: Sendable {
    private let values: [RequestText: RequestText]

    package init(_ request: Request) {
        var values: [RequestText: RequestText] = [:]
        for (name, value) in request.uri.queryParameters {
            let name = RequestText(String(name))
            if values[name] == nil { values[name] = RequestText(String(value)) }
        }
        self.values = values
    }

    package subscript(name: String) -> RequestText? { values[RequestText(name)] }

    /// U+0000, which no stored text holds, is refused.
    package func text(_ name: String) throws(APIError) -> RequestText? {
        guard let text = self[name] else { return nil }
        guard !text.utf8.contains(0) else { throw .field(name, "invalid", "must not hold U+0000") }
        return text
    }

    package func boolean(_ name: String) throws(APIError) -> Bool? {
        guard let text = self[name] else { return nil }
        return switch text.keyword {
        case "true", "1": true
        case "false", "0": false
        default: throw .field(name, "invalid", "must be true or false")
        }
    }

    package func integer(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let text = self[name] else { return nil }
        guard let value = Int(text.verbatim) else { throw .field(name, "wrong_type", "must be a whole number") }
        guard range.contains(value) else {
            throw .field(name, "out_of_range", "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// A whole number with `s`, `m`, `h` or `d`, of at least a second.
    package func duration(_ name: String, upTo max: Duration) throws(APIError) -> Duration? {
        guard let text = self[name] else { return nil }
        let units: [Unicode.Scalar: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        let scalars = text.unicodeScalars
        guard let unit = scalars.last.flatMap({ units[$0] }), let number = Int64(String(scalars.dropLast())) else {
            throw .field(name, "invalid", "must be a whole number with s, m, h or d")
        }
        let (seconds, overflow) = number.multipliedReportingOverflow(by: unit)
        guard !overflow, (1...max.components.seconds).contains(seconds) else {
            throw .field(name, "out_of_range", "must be from 1s to \(max.components.seconds)s")
        }
        return .seconds(seconds)
    }

    package func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String,
        of type: Choice.Type
    ) throws(APIError) -> Choice? where Choice.RawValue == String {
        guard let text = self[name] else { return nil }
        if let choice = text.keyword.flatMap(Choice.init(rawValue:)) { return choice }
        throw .field(name, "invalid", "must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
    }
}
