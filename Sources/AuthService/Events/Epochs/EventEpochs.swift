// The epoch names the history to which the numbers of the event log belong.
//
// A restored or rewound database reuses `seq` numbers that followers have seen with other events. So a cursor is
// `epoch:seq`, and a restore begins a new epoch: followers with an old cursor must start again. The same transaction
// ends every session; see `Recovery`.
//
// The name is random, so two databases restored from one backup have no cursor in common.
package import OpenSSLCrypto
package import ServiceKit
package import Storage

package struct EventEpochs: Sendable {
    private let database: any SQLDatabase
    private let clock: Clock
    private let random: RandomSource

    package init(database: any SQLDatabase, clock: Clock = .system, random: RandomSource = .system) {
        self.database = database
        self.clock = clock
        self.random = random
    }

    /// Names the epoch if the database has none yet.
    package func current() async throws(StorageError) -> String {
        if let row = try await database.run(EventLogStatements.epoch()).first { return try row.text("text_value") }
        _ = try await database.run(EventLogStatements.nameEpoch(name: Self.makeName(random), at: clock.now()))
        // Another node may have been faster.
        guard let row = try await database.run(EventLogStatements.epoch()).first else {
            throw .invalidRow(column: "text_value")
        }
        return try row.text("text_value")
    }

    /// For a transaction that restores a database.
    static func beginning(name: String, at now: Instant) -> BoundStatement {
        EventLogStatements.beginEpoch(name: name, at: now)
    }

    /// 64 random bits. As text, because cursors compare names without an order.
    static func makeName(_ random: RandomSource) -> String { IDGenerator(random).name(bytes: 8) }
}
