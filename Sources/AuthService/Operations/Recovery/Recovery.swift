// Completes the restore of auth's database, from a backup or to a point in time.
//
// Its event log begins a new epoch, and every session ends. Rows may show a session as live that was revoked after the
// backup, or a refresh token at an old generation. Which rows are wrong is unknown, so every user must log in again.
// `all.tokens_revoked` with the new version is the first event of the new epoch.
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

    /// In one transaction.
    ///
    /// - Returns: the name of the epoch.
    package func begin(after cause: NewEpoch.Cause, replacing version: Int64? = nil) async throws -> String {
        let epoch = NewEpoch(after: cause, replacing: version, clock: clock, random: random)
        let results = try await database.run(epoch.transaction)
        guard results[epoch.raised].affected == 1 else {
            throw StorageError.invalidRow(column: "global_token_version")
        }
        return epoch.name
    }

    /// `nil` if this is no database of auth.
    package func globalVersion() async throws(StorageError) -> Int64? {
        try await database.run(Sessions.globalVersion()).first?.optionalInteger("integer_value")
    }
}

/// The changes that a restored database of auth needs before it serves requests.
package struct NewEpoch: Sendable {
    package enum Cause: String, Sendable {
        case restore
        /// By other means, such as PostgreSQL's point-in-time recovery.
        case inPlace = "in_place"
    }

    package let name: String
    package let transaction: Transaction
    fileprivate let raised: Transaction.Handle

    /// `replacing`: the global version of the replaced database, if it is readable.
    package init(
        after cause: Cause,
        replacing version: Int64? = nil,
        clock: Clock = .system,
        random: RandomSource = .system
    ) {
        let now = clock.now()
        let name = EventEpochs.makeName(random)
        // SECURITY: tokens issued after the backup must be refused too, and may have a higher version than the
        // backup's. Versions otherwise rise by one, so milliseconds since 1970 are above any that was issued, and a
        // later restore has the greater.
        let milliseconds = now.microseconds / 1000
        let raisedVersion = max(milliseconds, (version ?? 0) + 1)
        let details = AuditDetails { writer in
            writer.field("cause", cause.rawValue)
            writer.field("epoch", name)
        }
        self.name = name
        var transaction = Transaction()
        self.raised = transaction.add(Sessions.revocationOfEverything(raisingVersionTo: raisedVersion, at: now))
        transaction.add(EventEpochs.beginning(name: name, at: now))
        transaction.add(Events().allTokensRevoked(at: now))
        transaction.add(
            Audit().entry(
                action: "database.restore",
                actor: nil,
                target: nil,
                from: .commandLine,
                details: details,
                at: now
            )
        )
        self.transaction = transaction
    }
}
