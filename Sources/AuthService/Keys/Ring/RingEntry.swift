// What is known of the deployment's master ring: its entries, and the nodes that hold them.
package import Storage

/// A key of the master ring, as registered: what names it, and never what it is.
package struct RingEntry: Sendable, Hashable {
    /// As in tokens and sealed values.
    package let keyID: UInt8
    package let fingerprint: String
    package let registeredAt: Instant
    /// When it last became the first key of a node that started.
    package let primaryAt: Instant?
    package let withdrawnAt: Instant?

    package var isLiving: Bool { withdrawnAt == nil }

    init(_ row: Row) throws(StorageError) {
        keyID = try RingEntry.keyID(row, "key_id")
        fingerprint = try row.text("fingerprint")
        registeredAt = try row.instant("registered_at")
        primaryAt = try row.optionalInstant("primary_at")
        withdrawnAt = try row.optionalInstant("withdrawn_at")
    }

    static func keyID(_ row: Row, _ column: String) throws(StorageError) -> UInt8 {
        guard let id = UInt8(exactly: try row.integer(column)) else { throw .invalidRow(column: column) }
        return id
    }
}

/// A process that holds a ring.
package struct RingNode: Sendable, Hashable {
    package let id: String
    /// Of the machine.
    package let name: String
    package let primaryID: UInt8
    /// Hexadecimal ids, in the order of its ring.
    package let keyIDs: [String]
    package let startedAt: Instant
    package let seenAt: Instant

    init(_ row: Row) throws(StorageError) {
        id = try row.text("id")
        name = try row.text("name")
        primaryID = try RingEntry.keyID(row, "primary_id")
        keyIDs = try row.text("key_ids").split(separator: " ").map(String.init)
        startedAt = try row.instant("started_at")
        seenAt = try row.instant("seen_at")
    }
}

/// What would be lost with an entry.
package struct RingUse: Sendable, Hashable {
    /// Current and next keys that it seals. What sealed earlier keys is needed no more.
    package let signingKeys: Int
    /// Unexpired refresh tokens that are derived from it.
    package let refreshTokens: Int
    /// Such tokens of an unknown entry: made by an earlier program, and not used since.
    package let unknownTokens: Int

    package var isUnused: Bool { signingKeys == 0 && refreshTokens == 0 && unknownTokens == 0 }
}

package struct RingStatus: Sendable {
    package let entries: [(entry: RingEntry, use: RingUse)]
    /// The latest first.
    package let nodes: [(node: RingNode, isRunning: Bool)]
}

package enum RingError: Error, Sendable {
    /// A registered entry that this node does not hold: another node can judge what it derives.
    case heldElsewhere(keyID: UInt8)
    /// Another living entry has the id of this key by chance.
    case idTaken(keyID: UInt8)
    /// The first key of this ring was withdrawn.
    case primaryWithdrawn(keyID: UInt8)
    case noSuchEntry
    /// Running nodes, or this command, make new tokens with it.
    case isPrimary(of: [String])
    case inUse(RingUse)
    case fault(any Error)
}
