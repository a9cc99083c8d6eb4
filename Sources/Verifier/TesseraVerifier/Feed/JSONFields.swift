// What is read seldom, such as an event of the feed, by name. Tokens have a reader of their own (ClaimsReader).
import StrictJSON

/// The members of one JSON object.
struct JSONFields {
    enum Value {
        case text(String)
        case integer(Int64)
        case null
        /// Anything else: a boolean, another number, an array, an object.
        case other
    }

    private var values: [String: Value] = [:]

    subscript(name: String) -> Value? { values[name] }

    /// The members of the object that `json` is; `nil` when it is anything else.
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

    /// The members of the object that is the member `name` of `json`; `nil` when that is anything else.
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

    /// Reads the object whose beginning was the last event.
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
