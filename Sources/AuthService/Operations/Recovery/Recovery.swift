// What a database of auth needs that was brought back: from a backup, or to a point in time.
//
// Its event log begins a new epoch, and every session ends. The rows may say that a session lives which was revoked after
// the backup, or that a refresh token stands at a generation which its owner has long passed. Which of them are wrong
// cannot be told, so every user logs in again. `all.tokens_revoked` with the new version is the first event of the new
// epoch.
package import OpenSSLCrypto
package import ServiceKit
package import Storage

package struct Recovery: Sendable {
    private let database: any SQLDatabase
    private let clock: Clock
    private let random: RandomSource

    package init(database: any SQLDatabase, clock: Clock = .system, random: RandomSource = .system) {
        self.database = database
        self.clock = clock
        self.random = random
    }

    /// Begins a new epoch here and ends every session, in one transaction.
    ///
    /// - Returns: its name.
    package func begin(after cause: NewEpoch.Cause, replacing version: Int64? = nil) async throws -> String {
        let epoch = NewEpoch(after: cause, replacing: version, clock: clock, random: random)
        let results = try await database.run(epoch.transaction)
        guard results[epoch.raised].affected == 1 else {
            throw StorageError.invalidRow(column: "global_token_version")
        }
        return epoch.name
    }

    /// The global version of the tokens that this database issues; `nil` when it is no database of auth.
    package func globalVersion() async throws(StorageError) -> Int64? {
        try await database.run(Sessions.globalVersion()).first?.optionalInteger("integer_value")
    }
}

/// What a database of auth needs that was brought back, before anybody is served from it.
package struct NewEpoch: Sendable {
    package enum Cause: String, Sendable {
        /// Loaded from a backup of ours.
        case restore
        /// Brought back by other means, such as PostgreSQL's point-in-time recovery.
        case inPlace = "in_place"
    }

    package let name: String
    /// Statements that take effect together or not at all.
    package let transaction: Transaction
    /// The end of every session, which affects one row in a database of auth.
    fileprivate let raised: Transaction.Handle

    /// `replacing`: the global version of the database that is replaced, where it can still be read.
    package init(
        after cause: Cause,
        replacing version: Int64? = nil,
        clock: Clock = .system,
        random: RandomSource = .system
    ) {
        let now = clock.now()
        let name = EventEpochs.makeName(random)
        // SECURITY: tokens issued after the backup was taken must be refused too, and may carry a higher version than
        // the backup knows. Versions otherwise rise by one at each "revoke everything", so milliseconds since 1970 are
        // ahead of any that was ever given out; of two restores the later has the greater.
        let milliseconds = now.microseconds / 1000
        let least = max(milliseconds, (version ?? 0) + 1)
        let details = JSONWriter.object { writer in
            writer.field("cause", cause.rawValue)
            writer.field("epoch", name)
        }
        self.name = name
        var transaction = Transaction()
        self.raised = transaction.add(Sessions.revocationOfEverything(raisingVersionTo: least, at: now))
        transaction.add(EventEpochs.beginning(name, at: now))
        transaction.add(Events().allTokensRevoked(at: now))
        transaction.add(
            Audit().entry(
                "database.restore",
                actor: nil,
                target: nil,
                origin: .commandLine,
                details: details.string,
                at: now
            )
        )
        self.transaction = transaction
    }
}
