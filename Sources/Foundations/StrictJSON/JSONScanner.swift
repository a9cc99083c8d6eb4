// Reads JSON (RFC 8259) that may have been written to deceive: tokens, request bodies, events.
//
// `next()` returns the text event by event. An event has passed all checks of what is before it, also where the caller
// skips a value. The text as a whole has passed them when `end` comes. A scanner also refuses what two readers could
// read in two ways: a name that comes twice in one object, half of a surrogate pair, invalid UTF-8, a byte order mark.
//
// Time is linear in the length of the text. Nesting is bounded and takes no stack. The scanner allocates only for
// objects with an unusual number of names, for names with escapes, and for the strings that a caller asks for.

/// A strict reader of one JSON text.
package struct JSONScanner: ~Copyable {
    private enum Expected {
        case value
        /// The first name of an object, or its end.
        case firstName
        /// The first element of an array, or its end.
        case firstElement
        /// What may follow a value where it stands.
        case next
    }

    let bytes: [UInt8]
    let limits: JSONLimits
    /// The byte that is read next.
    package internal(set) var offset = 0
    /// The first byte of the last name or value.
    package private(set) var start = 0
    /// How many objects and arrays are open.
    package private(set) var depth = 0
    /// One bit for each that is open, 1 for an object, the innermost last.
    private var objects: UInt64 = 0
    private var expected = Expected.value
    private var names = MemberNames()
    private var nameCount = 0

    package init(_ bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    /// The next event; `end` again and again once the text is complete. After an error there is nothing more to read.
    package mutating func next() throws(JSONSyntaxError) -> JSONEvent {
        switch expected {
        case .value: return try value()
        case .firstName: return takeAfterSpace("}") ? close(.endObject) : try name()
        case .firstElement: return takeAfterSpace("]") ? close(.endArray) : try value()
        case .next: return try afterValue()
        }
    }

    /// Reads to the end of the value that `event` began.
    package mutating func skip(_ event: JSONEvent) throws(JSONSyntaxError) {
        switch event {
        case .beginObject, .beginArray:
            let outside = depth - 1
            while depth > outside { _ = try next() }
        default: break
        }
    }

    // MARK: - Structure

    private mutating func afterValue() throws(JSONSyntaxError) -> JSONEvent {
        skipSpace()
        guard depth > 0 else {
            guard offset == bytes.count else { throw error(.textAfterValue) }
            return .end
        }
        if objects & 1 == 1 {
            if take(",") { return try name() }
            guard take("}") else { throw error(.unfinishedObject) }
            return close(.endObject)
        }
        if take(",") { return try value() }
        guard take("]") else { throw error(.unfinishedArray) }
        return close(.endArray)
    }

    private mutating func value() throws(JSONSyntaxError) -> JSONEvent {
        guard depth < limits.depth else { throw error(.tooDeep(limit: limits.depth)) }
        skipSpace()
        guard offset < bytes.count else { throw error(.unexpectedEnd) }
        start = offset
        expected = .next
        switch bytes[offset] {
        case UInt8(ascii: "\""): return .string(try text())
        case UInt8(ascii: "{"): return open(.beginObject, .firstName, bit: 1)
        case UInt8(ascii: "["): return open(.beginArray, .firstElement, bit: 0)
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func name() throws(JSONSyntaxError) -> JSONEvent {
        skipSpace()
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else { throw error(.missingName) }
        start = offset
        let name = try text()
        nameCount += 1
        guard nameCount <= limits.members else { throw error(.tooManyMembers(limit: limits.members)) }
        let isNew =
            name.hasEscapes
            ? names.insert(decoded: Array(string(name).utf8), of: bytes, depth: depth)
            : names.insert(name.range, of: bytes, depth: depth)
        guard isNew else { throw error(.duplicateName(string(name))) }
        guard takeAfterSpace(":") else { throw error(.missingColon) }
        expected = .value
        return .name(name)
    }

    private mutating func open(_ event: JSONEvent, _ expected: Expected, bit: UInt64) -> JSONEvent {
        offset += 1
        depth += 1
        objects = objects << 1 | bit
        if bit == 1 { names.open(depth: depth) }
        self.expected = expected
        return event
    }

    private mutating func close(_ event: JSONEvent) -> JSONEvent {
        if objects & 1 == 1 { names.close(depth: depth) }
        depth -= 1
        objects >>= 1
        expected = .next
        return event
    }

    private mutating func word(_ word: StaticString, _ event: JSONEvent) throws(JSONSyntaxError) -> JSONEvent {
        for letter in word.description.utf8 {
            guard offset < bytes.count, bytes[offset] == letter else { throw error(.unknownWord) }
            offset += 1
        }
        return event
    }

    // MARK: - Bytes

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return
            }
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard offset < bytes.count, bytes[offset] == UInt8(truncatingIfNeeded: character.value) else { return false }
        offset += 1
        return true
    }

    private mutating func takeAfterSpace(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        return take(character)
    }

    func error(_ reason: JSONSyntaxError.Reason, at offset: Int? = nil) -> JSONSyntaxError {
        JSONSyntaxError(reason, at: offset ?? self.offset)
    }
}
