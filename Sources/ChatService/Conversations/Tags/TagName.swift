// A tag's name as it is shown, and the key under which it is one tag.
import Foundation
import ServiceKit

struct TagName: Sendable, Hashable {
    /// In bytes.
    static let longest = 100

    /// As said, surrounding white space removed.
    let text: String
    /// NFC and lower case: what `tags.name_key` holds.
    let key: String

    /// `nil` for what is empty, too long or holds control characters.
    init?(_ said: String) {
        let trimmed = said.trimmingCharacters(in: .whitespacesAndNewlines).precomposedStringWithCanonicalMapping
        guard !trimmed.isEmpty, trimmed.utf8.count <= Self.longest,
            trimmed.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return nil }
        text = trimmed
        key = trimmed.lowercased().precomposedStringWithCanonicalMapping
    }

    /// A name in the path. One that cannot be a tag's is simply not there.
    init(inPath segment: String?) throws(APIError) {
        guard let text = segment?.removingPercentEncoding, let name = TagName(text) else { throw APIError(.notFound) }
        self = name
    }
}

extension JSONBody {
    /// A list of tags, each named once.
    mutating func tagNames(_ name: String) -> [TagName]? {
        guard let texts = strings(name, count: 0...ConversationLimits.tags) else { return nil }
        var names: [TagName] = []
        for (index, text) in texts.enumerated() {
            guard let tag = TagName(text) else {
                refuse("\(name)[\(index)]", "invalid", "must be 1 to \(TagName.longest) bytes of text")
                continue
            }
            if !names.contains(where: { $0.key == tag.key }) { names.append(tag) }
        }
        return names
    }

    /// One tag's name.
    mutating func tagName(_ name: String) -> TagName? {
        let before = errors.count
        let text = requiredString(name)
        if let tag = TagName(text) { return tag }
        if errors.count == before { refuse(name, "invalid", "must be 1 to \(TagName.longest) bytes of text") }
        return nil
    }
}
