// Which schema of a database holds a service's tables, asked before the workers connect.

internal import Storage

/// Two places where a service's tables may be.
package struct PostgresSchemas: Sendable, Hashable {
    /// Where the connection's own search path points: `public`, unless the operator changed it.
    package let own: String
    package let isInOwn: Bool
    /// Whether the tables are in the schema that was asked about.
    package let isInOther: Bool

    package init(own: String, isInOwn: Bool, isInOther: Bool) {
        self.own = own
        self.isInOwn = isInOwn
        self.isInOther = isInOther
    }

    /// Looks for a service's migrations, and changes nothing.
    ///
    /// - Parameters:
    ///   - service: whose migrations.
    ///   - other: the schema to look into besides the connection's own.
    ///   - url: a libpq URI or keyword string.
    /// - Returns: where they are.
    /// - Throws: `StorageError` when the server cannot be reached, or does not let this user look.
    package static func find(_ service: String, besides other: String, at url: String) async throws -> PostgresSchemas {
        try await OwnThread.run("postgres-schemas") {
            let connection = try Connection(url: url, purpose: .inspection)
            // NULL, where the search path leads nowhere, reads as an empty text.
            let current = try connection.simpleQuery("SELECT current_schema()") ?? ""
            let own = current.isEmpty ? "public" : current
            return PostgresSchemas(
                own: own,
                isInOwn: try connection.holds(service, in: own),
                isInOther: try other != own && connection.holds(service, in: other)
            )
        }
    }
}

extension Connection {
    fileprivate func holds(_ service: String, in schema: String) throws(StorageError) -> Bool {
        let name = PostgresScript.literal(.text(schema))
        let isThere = try simpleQuery(
            """
            SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = \(name) AND c.relname = 'schema_migrations'
            """
        )
        guard isThere == "1" else { return false }
        let count = try simpleQuery(
            """
            SELECT count(*) FROM \(PostgresScript.identifier(schema)).schema_migrations
            WHERE service = \(PostgresScript.literal(.text(service)))
            """
        )
        return count != "0"
    }
}
