// The epoch: which history the numbers of the event log belong to.
//
// `seq` is never reused while a database moves forward. One that came back from a backup, or was rewound to a point in
// time, gives numbers out again that followers have seen with other events behind them. So a cursor is `epoch:seq`, and
// whoever brings a database back begins a new epoch: followers with a cursor of the old one are told to start afresh.
//
// The same transaction ends every session; see `Recovery`.
//
// An epoch's name is random: two databases that were restored from one backup have no cursor in common.
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

    /// The name of the epoch that the log is in; a database that never had one is given it now.
    package func current() async throws(StorageError) -> String {
        if let row = try await database.run(EventLogStatements.epoch()).first { return try row.text("text_value") }
        _ = try await database.run(EventLogStatements.nameEpoch(Self.makeName(random), at: clock.now()))
        // Another node may have been faster.
        guard let row = try await database.run(EventLogStatements.epoch()).first else {
            throw .invalidRow(column: "text_value")
        }
        return try row.text("text_value")
    }

    /// Gives the log another name. Of a transaction that brings a database back.
    static func beginning(_ name: String, at now: Instant) -> BoundStatement {
        EventLogStatements.beginEpoch(name, at: now)
    }

    /// 64 random bits: as text, so that a cursor compares names and expects no order.
    static func makeName(_ random: RandomSource) -> String { Hex.encode(random.bytes(8)) }
}
