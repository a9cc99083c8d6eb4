// A database that was brought back gives the feed's numbers out again. Cursors name the history that they belong to, so
// whoever brings one back begins another, and clients with a cursor of the old one are told to start afresh.
package import OpenSSLCrypto
package import Storage

package enum ChangeHistory {
    /// How the migration that makes the feed is named; a backup may be older.
    package static let migration = "_changes"

    /// Begins a new history.
    package static func begin(in database: any SQLDatabase, random: RandomSource = .system) async throws {
        _ = try await database.run(ChangeStatements.begin(epoch: Hex.encode(random.bytes(8))))
    }

    /// The same in the script of a restore, where the feed may not be there yet.
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
