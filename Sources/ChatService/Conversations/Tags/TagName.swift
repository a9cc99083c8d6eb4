import Foundation
import ServiceKit

struct TagName: Sendable, Hashable {
    /// Unicode scalars, as it is said and as it is kept.
    static let maxLength = 100

    /// As given, trimmed.
    let text: String
    /// NFC and lower case, as in `tags.name_key`.
    let key: String

    /// `nil` if empty, too long, or with control characters.
    init?(_ said: RequestText) {
        let trimmed = said.trimmed
        guard !trimmed.isEmpty, !trimmed.hasMore(scalarsThan: Self.maxLength),
            trimmed.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return nil }
        text = trimmed.verbatim.precomposedStringWithCanonicalMapping
        // A few letters are several in NFC.
        guard !RequestText(text).hasMore(scalarsThan: Self.maxLength) else { return nil }
        key = text.lowercased().precomposedStringWithCanonicalMapping
    }

    /// An invalid name in the path is simply not found.
    init(inPath segment: String?) throws(APIError) {
        guard let text = segment?.removingPercentEncoding, let name = TagName(RequestText(text)) else {
            throw APIError(.notFound)
        }
        self = name
    }
}

extension JSONBody {
    /// Each named once.
    mutating func tagNames(_ name: String) -> [TagName]? {
        guard let texts = texts(name, count: 0...ConversationLimits.tags) else { return nil }
        var names: [TagName] = []
        for (index, text) in texts.enumerated() {
            guard let tag = TagName(text) else {
                addError("\(name)[\(index)]", "invalid", "must have from 1 to \(TagName.maxLength) characters")
                continue
            }
            if !names.contains(where: { $0.key == tag.key }) { names.append(tag) }
        }
        return names
    }

    mutating func tagName(_ name: String) -> TagName? {
        let before = errors.count
        let text = requiredText(name)
        if let tag = TagName(text) { return tag }
        if errors.count == before { addError(name, "invalid", "must have from 1 to \(TagName.maxLength) characters") }
        return nil
    }
}
