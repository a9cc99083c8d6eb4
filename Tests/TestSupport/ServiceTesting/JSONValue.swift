// JSON of any shape, for tests that look at a few members of an answer.
package import Foundation

/// A JSON value; a member that is not there is `null`.
package enum JSONValue: Sendable, Hashable, Codable {
    case null
    case bool(Bool)
    case number(Decimal)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    package init(parsing text: String) throws {
        self = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Decimal.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    package subscript(member: String) -> JSONValue {
        guard case .object(let members) = self else { return .null }
        return members[member] ?? .null
    }

    package var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    package var array: [JSONValue] {
        guard case .array(let values) = self else { return [] }
        return values
    }

    /// Where `later` does not say what this says. New members are no difference, new elements are.
    package func differences(to later: JSONValue, at path: String = "$") -> [String] {
        switch (self, later) {
        case (.object(let old), .object(let new)):
            return old.sorted { $0.key < $1.key }.flatMap { name, value in
                new[name].map { value.differences(to: $0, at: "\(path).\(name)") } ?? ["\(path).\(name) is gone"]
            }
        case (.array(let old), .array(let new)):
            guard old.count == new.count else { return ["\(path) has \(new.count) elements, not \(old.count)"] }
            return zip(old, new).enumerated().flatMap { index, pair in
                pair.0.differences(to: pair.1, at: "\(path)[\(index)]")
            }
        default:
            return self == later ? [] : ["\(path) is \(later), not \(self)"]
        }
    }

    /// The paths of all members, such as `user.email` and `messages[].role`: what stays the same between two
    /// runs, when ids and times do not.
    package var memberPaths: Set<String> {
        switch self {
        case .null, .bool, .number, .string: []
        case .array(let values): Set(values.flatMap(\.memberPaths).map { "[]\($0.hasPrefix("[") ? "" : ".")\($0)" })
        case .object(let members):
            Set(
                members.flatMap { name, value in
                    [name] + value.memberPaths.map { "\(name)\($0.hasPrefix("[") ? "" : ".")\($0)" }
                }
            )
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral {
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
}
