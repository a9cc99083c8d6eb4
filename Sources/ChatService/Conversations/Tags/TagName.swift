import Foundation
import ServiceKit

struct TagName: Sendable, Hashable {
    /// In bytes.
    static let maxBytes = 100

    /// As given, trimmed.
    let text: String
    /// NFC and lower case, as in `tags.name_key`.
    let key: String

    /// `nil` if empty, too long, or with control characters.
    init?(_ said: String) {
        let trimmed = said.trimmingCharacters(in: .whitespacesAndNewlines).precomposedStringWithCanonicalMapping
        guard !trimmed.isEmpty, trimmed.utf8.count <= Self.maxBytes,
            trimmed.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return nil }
        text = trimmed
        key = trimmed.lowercased().precomposedStringWithCanonicalMapping
    }

    /// An invalid name in the path is simply not found.
    init(inPath segment: String?) throws(APIError) {
        guard let text = segment?.removingPercentEncoding, let name = TagName(text) else { throw APIError(.notFound) }
        self = name
    }
}

extension JSONBody {
    /// Each named once.
    mutating func tagNames(_ name: String) -> [TagName]? {
        guard let texts = strings(name, count: 0...ConversationLimits.tags) else { return nil }
        var names: [TagName] = []
        for (index, text) in texts.enumerated() {
            guard let tag = TagName(text) else {
                addError("\(name)[\(index)]", "invalid", "must be 1 to \(TagName.maxBytes) bytes of text")
                continue
            }
            if !names.contains(where: { $0.key == tag.key }) { names.append(tag) }
        }
        return names
    }

    mutating func tagName(_ name: String) -> TagName? {
        let before = errors.count
        let text = requiredString(name)
        if let tag = TagName(text) { return tag }
        if errors.count == before { addError(name, "invalid", "must be 1 to \(TagName.maxBytes) bytes of text") }
        return nil
    }
}
