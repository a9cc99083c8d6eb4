/// The cost of Argon2id (RFC 9106 §3.1).
package struct Argon2Parameters: Sendable, Hashable {
    /// The `m` of a PHC string.
    package var memoryKiB: Int
    /// Passes over the memory, `t`.
    package var iterations: Int
    package var parallelism: Int

    /// The defaults are the first choice of OWASP's Password Storage Cheat Sheet.
    package init(memoryKiB: Int = 19_456, iterations: Int = 2, parallelism: Int = 1) {
        self.memoryKiB = memoryKiB
        self.iterations = iterations
        self.parallelism = parallelism
    }

    /// SECURITY: a stored hash names its own cost, and hashes are imported. One that asks for a terabyte or an hour
    /// must be refused before it is computed.
    static let memoryLimitKiB = 1 << 20
    static let iterationsLimit = 20
    static let parallelismLimit = 16
    /// KiB written in all passes together: 4 GiB, some seconds.
    static let workLimitKiB = 1 << 22

    /// Refuses costs that libargon2 cannot compute or that could stall the server.
    ///
    /// - Throws: `.costOutOfBounds` with the parameter's name.
    package func validate() throws(PHCError) {
        guard (1...Self.parallelismLimit).contains(parallelism) else { throw .costOutOfBounds("p") }
        // RFC 9106 §3.1: at least 8 blocks of 1 KiB for each degree of parallelism.
        guard (8 * parallelism...Self.memoryLimitKiB).contains(memoryKiB) else { throw .costOutOfBounds("m") }
        guard (1...Self.iterationsLimit).contains(iterations), memoryKiB * iterations <= Self.workLimitKiB else {
            throw .costOutOfBounds("t")
        }
    }

    /// Whether a hash of this cost is weaker than `other`. Parallelism splits the same work and does not count.
    func isBelow(_ other: Argon2Parameters) -> Bool {
        memoryKiB < other.memoryKiB || iterations < other.iterations
    }
}
