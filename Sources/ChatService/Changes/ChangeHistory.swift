// A restored database reuses the feed's numbers. Cursors name their history, so a restore begins a new one, and clients
// with an old cursor must start again.
package import OpenSSLCrypto
import ServiceKit
package import Storage

package enum ChangeHistory {
    /// Of the migration that makes the feed; a backup may be older.
    package static let migration = "_changes"

    package static func begin(in database: any SQLDatabase, random: RandomSource = .system) async throws {
        _ = try await database.run(ChangeStatements.begin(epoch: IDGenerator(random).name()))
    }

    /// For a restore's script, where the feed may not exist yet.
    package static let postgresScript = """
        DO $tessera$
        BEGIN
            IF to_regclass('change_feed') IS NOT NULL THEN
                UPDATE change_feed SET epoch = left(replace(gen_random_uuid()::text, '-', ''), 16)
                WHERE name = 'changes';
            END IF;
        END
        $tessera$;

        """
}
