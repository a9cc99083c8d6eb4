// Finds a name that comes twice in one object, for all objects that are open.
//
// Names without escapes are compared with each other: their first eight bytes, then all. Where there is no more room,
// and for names with escapes, hashed sets take over. So time stays linear whatever the names are.

/// The names of the objects that are open, each object at a depth of its own.
struct MemberNames {
    private struct Plain {
        var head: UInt64 = 0
        var range = 0..<0
    }

    private var plain = InlineArray<32, Plain>(repeating: Plain())
    private var count = 0
    /// Where the names of the object at each depth begin in `plain`. Depths begin with 1.
    private var first = InlineArray<65, UInt8>(repeating: 0)
    private var hashed: [Int: Set<[UInt8]>] = [:]

    mutating func open(depth: Int) {
        first[depth] = UInt8(truncatingIfNeeded: count)
    }

    mutating func close(depth: Int) {
        count = Int(first[depth])
        if !hashed.isEmpty { hashed[depth] = nil }
    }

    /// Takes a name of the innermost object, which is at `depth`, and returns whether it is new there. Names are equal
    /// where all bytes are (RFC 8259 §8.3).
    mutating func insert(_ name: Range<Int>, of bytes: [UInt8], depth: Int) -> Bool {
        var head: UInt64 = 0
        for index in name.prefix(8) { head = head << 8 | UInt64(bytes[index]) }
        for index in Int(first[depth])..<count where plain[index].head == head {
            if bytes[plain[index].range].elementsEqual(bytes[name]) { return false }
        }
        if count == plain.count { return hashed[depth, default: []].insert(Array(bytes[name])).inserted }
        if !hashed.isEmpty, hashed[depth]?.contains(Array(bytes[name])) == true { return false }
        plain[count] = Plain(head: head, range: name)
        count += 1
        return true
    }

    /// The same for a name that is written with escapes.
    mutating func insert(decoded name: [UInt8], of bytes: [UInt8], depth: Int) -> Bool {
        for index in Int(first[depth])..<count where bytes[plain[index].range].elementsEqual(name) { return false }
        return hashed[depth, default: []].insert(name).inserted
    }
}
