// The part of JSON Schema 2020-12 that the contract uses.
import Foundation

extension Contract {
    /// An unknown keyword is a fault too, so that none is skipped.
    func violations(_ value: Any, _ schema: [String: Any], at path: String) -> [String] {
        let schema = resolve(schema)
        let known: Set<String> = [
            "type", "properties", "required", "additionalProperties", "items", "enum", "const", "format", "pattern",
            "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "default", "description", "title",
            "oneOf", "anyOf", "allOf",
        ]
        var violations = schema.keys.filter { !known.contains($0) }.map { "\(path): unknown keyword \($0)" }
        for part in schema["allOf"] as? [[String: Any]] ?? [] { violations += self.violations(value, part, at: path) }
        for keyword in ["oneOf", "anyOf"] {
            if let choices = schema[keyword] as? [[String: Any]],
                !choices.contains(where: { self.violations(value, $0, at: path).isEmpty })
            {
                violations.append("\(path): fits no choice of \(keyword)")
            }
        }
        if let types = schema["type"].map({ $0 as? [String] ?? [$0 as? String ?? "?"] }),
            !types.contains(where: { Self.isType(value, $0) })
        {
            return violations + ["\(path): is not \(types)"]
        }
        if let options = schema["enum"] as? [Any], !options.contains(where: { "\($0)" == "\(value)" }) {
            violations.append("\(path): \(value) is not one of \(options)")
        }
        if let constant = schema["const"], "\(constant)" != "\(value)" {
            violations.append("\(path): is not \(constant)")
        }
        if let text = value as? String, let pattern = schema["pattern"] as? String,
            text.range(of: pattern, options: .regularExpression) == nil
        {
            violations.append("\(path): \(text) does not match \(pattern)")
        }
        if let text = value as? String {
            if let most = schema["maxLength"] as? Int, text.count > most { violations.append("\(path): too long") }
            if let least = schema["minLength"] as? Int, text.count < least { violations.append("\(path): too short") }
        }
        if let object = value as? [String: Any] { violations += members(object, schema, at: path) }
        if let array = value as? [Any], let items = schema["items"] as? [String: Any] {
            for (index, element) in array.enumerated() {
                violations += self.violations(element, items, at: "\(path)[\(index)]")
            }
        }
        return violations
    }

    private func members(_ object: [String: Any], _ schema: [String: Any], at path: String) -> [String] {
        let properties = schema["properties"] as? [String: [String: Any]] ?? [:]
        var violations: [String] = []
        for name in schema["required"] as? [String] ?? [] where object[name] == nil {
            violations.append("\(path): \(name) is missing")
        }
        for (name, value) in object {
            if let property = properties[name] {
                violations += self.violations(value, property, at: "\(path).\(name)")
            } else if schema["additionalProperties"] as? Bool == false {
                violations.append("\(path): \(name) is not in the schema")
            } else if let rest = schema["additionalProperties"] as? [String: Any] {
                violations += self.violations(value, rest, at: "\(path).\(name)")
            }
        }
        return violations
    }

    private static func isType(_ value: Any, _ type: String) -> Bool {
        switch type {
        case "null": value is NSNull
        case "boolean": value is Bool
        case "integer": value is Int && !(value is Bool)
        case "number": value is Int || value is Double
        case "string": value is String || value is Date
        case "array": value is [Any]
        case "object": value is [String: Any]
        default: false
        }
    }
}
