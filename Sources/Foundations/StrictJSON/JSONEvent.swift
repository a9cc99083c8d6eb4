// What a scanner says of a JSON text. Strings and numbers are places in the text, so that an event allocates nothing:
// the scanner reads the ones that are asked for.

/// One step through a JSON text.
package enum JSONEvent: Sendable, Equatable {
    case beginObject
    case endObject
    case beginArray
    case endArray
    /// The name of a member. Its value comes next.
    case name(JSONText)
    case string(JSONText)
    case number(JSONNumber)
    case boolean(Bool)
    case null
    /// The text was one value and is complete.
    case end
}

/// The place of a string, between its quotation marks.
package struct JSONText: Sendable, Equatable {
    package let range: Range<Int>
    let hasEscapes: Bool

    package var isEmpty: Bool { range.isEmpty }
}

/// The place of a number.
package struct JSONNumber: Sendable, Equatable {
    package let range: Range<Int>
    /// Whether it has neither a fraction nor an exponent.
    let isWhole: Bool
}
