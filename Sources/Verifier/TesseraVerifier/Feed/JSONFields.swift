// Reads JSON by name, for what is read rarely, such as events. `ClaimsReader` reads tokens.
import StrictJSON

struct JSONFields {
    enum Value {
        case text(String)
        case integer(Int64)
        case null
        case other
    }

    private var values: [String: Value] = [:]

    subscript(name: String) -> Value? { values[name] }

    /// `nil` if `json` is not an object.
    init?(_ json: [UInt8]) {
        var scanner = JSONScanner(json, limits: .claims)
        do throws(JSONSyntaxError) {
            guard case .beginObject = try scanner.next() else { return nil }
            try readRest(of: &scanner)
            _ = try scanner.next()
        } catch {
            return nil
        }
    }

    /// Reads the object in the member `name` of `json`; `nil` if it is not an object.
    init?(_ json: [UInt8], member name: String) {
        var scanner = JSONScanner(json, limits: .claims)
        var isFound = false
        do throws(JSONSyntaxError) {
            guard case .beginObject = try scanner.next() else { return nil }
            while case .name(let text) = try scanner.next() {
                let event = try scanner.next()
                if scanner.string(text) == name, case .beginObject = event {
                    isFound = true
                    try readRest(of: &scanner)
                } else {
                    try scanner.skip(event)
                }
            }
            _ = try scanner.next()
        } catch {
            return nil
        }
        if !isFound { return nil }
    }

    private mutating func readRest(of scanner: inout JSONScanner) throws(JSONSyntaxError) {
        while case .name(let name) = try scanner.next() {
            let event = try scanner.next()
            values[scanner.string(name)] =
                switch event {
                case .string(let text): .text(scanner.string(text))
                case .number(let number): scanner.integer(number).map(Value.integer) ?? .other
                case .null: .null
                default: .other
                }
            try scanner.skip(event)
        }
    }
}
