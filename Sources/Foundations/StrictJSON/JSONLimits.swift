/// What a reader of JSON sets a limit to, beyond RFC 8259 (§9 allows it).
package struct JSONLimits: Sendable {
    /// The deepest nesting that a scanner can follow.
    package static let maximumDepth = 64

    let depth: Int
    let members: Int
    let refusesNUL: Bool

    /// - Parameters:
    ///   - depth: how deep values may be nested, up to `maximumDepth`. A value that holds no other has depth 1.
    ///   - members: how many members all objects of the text may have together.
    ///   - refusesNUL: whether `\u0000` is refused, for text that PostgreSQL is to store.
    package init(depth: Int, members: Int = .max, refusesNUL: Bool = false) {
        self.depth = min(depth, Self.maximumDepth)
        self.members = members
        self.refusesNUL = refusesNUL
    }
}
