// Statistics for PostgreSQL's planner, renewed where much has changed at once: after a migration, an import, a
// restore. Autovacuum comes within minutes, and until then nothing is known of the new rows. No statement of a
// request needs them (docs/decisions/0036-one-plan.md); jobs and commands that choose by values do.

package enum TableStatistics {
    /// A script that analyses every table with rows. An empty one stays as it was: PostgreSQL takes a table that was
    /// never analysed for ten pages long, and one that was found empty for empty, until it is analysed again.
    package static let refreshScript = """
        DO $tessera$
        DECLARE
            name text;
        BEGIN
            FOR name IN
                SELECT c.oid::regclass FROM pg_class c
                WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind = 'r'
                    AND pg_relation_size(c.oid) > 0
                ORDER BY c.relname
            LOOP
                EXECUTE 'ANALYZE ' || name;
            END LOOP;
        END
        $tessera$;

        """

    /// Analyses the tables of a database. SQLite does so by itself, in milliseconds (`PRAGMA optimize`).
    package static func refresh(in database: any SQLDatabase) async throws {
        guard database.engine == .postgres else { return }
        try await database.withMigrationLock { try $0.execute(script: refreshScript) }
    }
}
