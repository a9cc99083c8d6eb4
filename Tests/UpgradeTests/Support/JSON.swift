// JSON of any shape, with the comparison that an upgrade needs.
import Foundation

enum JSON: Sendable, Hashable, Decodable {
    case null
    case bool(Bool)
    case number(Decimal)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(parsing text: String) throws {
        // Names are not converted.
        self = try JSONDecoder().decode(JSON.self, from: Data(text.utf8))
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Decimal.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    subscript(member: String) -> JSON {
        guard case .object(let members) = self else { return .null }
        return members[member] ?? .null
    }

    var string: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    var array: [JSON] {
        guard case .array(let values) = self else { return [] }
        return values
    }

    /// Where `later` differs. New members are allowed, new elements are not.
    func differences(to later: JSON, at path: String = "$") -> [String] {
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
}
