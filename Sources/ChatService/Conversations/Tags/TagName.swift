import Foundation
import ServiceKit

struct TagName: Sendable, Hashable {
    /// Unicode scalars, as it is said and as it is kept.
    static let maxLength = 100
    static let rule = "must have from 1 to \(maxLength) characters"

    /// As given, trimmed.
    let text: String
    /// NFC and lower case, as in `tags.name_key`.
    let key: String

    /// `nil` for what is empty, too long or holds control characters, and for what holds a dot segment, as `..` and
    /// `a/../b` do. No path may name those, so no client could take them off.
    init?(_ said: RequestText) {
        let trimmed = said.trimmed
        guard !trimmed.isEmpty, !trimmed.hasMore(scalarsThan: Self.maxLength),
            !RequestTarget.holdsDotSegment(trimmed.verbatim),
            trimmed.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return nil }
        text = trimmed.verbatim.precomposedStringWithCanonicalMapping
        // A few letters are several in NFC.
        guard !RequestText(text).hasMore(scalarsThan: Self.maxLength) else { return nil }
        key = text.lowercased().precomposedStringWithCanonicalMapping
    }

    /// An invalid name in the path is simply not found.
    init(inPath segment: RequestText) throws(APIError) {
        guard let name = TagName(segment) else { throw APIError(.notFound) }
        self = name
    }

    /// The tag that rows are chosen by.
    static let filter = QueryParameter<TagName>("tag", ParameterSchema(type: "string", maxLength: maxLength)) {
        text,
        name throws(APIError) in
        guard let tag = TagName(text) else { throw APIError.field(name, "invalid", "is no name of a tag") }
        return tag
    }
}

extension JSONBody {
    /// Each named once.
    mutating func tagNames(_ name: String) -> [TagName]? {
        guard let texts = texts(name, count: 0...ConversationLimits.tags) else { return nil }
        var names: [TagName] = []
        for (index, text) in texts.enumerated() {
            guard let tag = TagName(text) else {
                addError("\(name)[\(index)]", "invalid", TagName.rule, .range(1...TagName.maxLength))
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
        if errors.count == before { addError(name, "invalid", TagName.rule, .range(1...TagName.maxLength)) }
        return nil
    }
}
