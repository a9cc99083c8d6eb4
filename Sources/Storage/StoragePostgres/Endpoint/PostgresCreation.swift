// Makes a database or a schema that is missing, for `tessera migrate up --create-database`.
//
// Both statements cannot take parameters, so names are quoted. Two processes may make the same thing at once: the one
// that comes second finds it there.

internal import CLibPQ
internal import Foundation
internal import Storage

package enum PostgresCreation {
    /// Where a server answers although the database is missing (PostgreSQL manual, "Template Databases").
    private static let everywhere = ["postgres", "template1"]

    /// Makes the database that a URL names, in UTF-8, unless it can be reached.
    ///
    /// - Parameter url: a libpq URI or keyword string.
    /// - Returns: the name of a database that was made, `nil` if it was there.
    /// - Throws: `StorageError` when it can neither be reached nor made.
    package static func makeDatabase(of url: String) async throws -> String? {
        try await OwnThread.run("postgres-create") { try makeMissing(url) }
    }

    private static func makeMissing(_ url: String) throws(StorageError) -> String? {
        do throws(StorageError) {
            _ = try Connection(url: url, purpose: .inspection)
            return nil
        } catch {
            return try makeDatabase(of: url, after: error)
        }
    }

    private static func makeDatabase(of url: String, after refusal: StorageError) throws(StorageError) -> String? {
        guard let server = connect(to: url) else { throw refusal }
        let environment = ProcessInfo.processInfo.environment
        let name = try PostgresEndpoint.database(of: url, environment: environment) ?? server.user
        let isThere =
            "SELECT count(*) FROM pg_catalog.pg_database WHERE datname = \(PostgresScript.literal(.text(name)))"
        // It refused for another reason.
        guard try server.simpleQuery(isThere) == "0" else { throw refusal }
        do throws(StorageError) {
            // `template0` alone takes another encoding than the server's usual one.
            try server.execute(
                script: "CREATE DATABASE \(PostgresScript.identifier(name)) TEMPLATE template0 ENCODING 'UTF8'"
            )
            return name
        } catch {
            guard try server.simpleQuery(isThere) == "1" else { throw error }
            return nil
        }
    }

    private static func connect(to url: String) -> Connection? {
        for database in everywhere {
            if let connection = try? Connection(url: url, database: database, purpose: .migration) { return connection }
        }
        return nil
    }

    /// Makes a schema, unless it is there: `IF NOT EXISTS` would ask for the right to make it even then.
    ///
    /// - Parameters:
    ///   - schema: its name.
    ///   - url: a libpq URI or keyword string.
    /// - Returns: whether it was made.
    /// - Throws: `StorageError` when the server refuses.
    package static func makeSchema(_ schema: String, at url: String) async throws -> Bool {
        try await OwnThread.run("postgres-create") { () throws -> Bool in
            let connection = try Connection(url: url, purpose: .migration)
            guard try !connection.hasSchema(schema) else { return false }
            do {
                try connection.execute(script: "CREATE SCHEMA \(PostgresScript.identifier(schema))")
                return true
            } catch {
                guard try connection.hasSchema(schema) else { throw error }
                return false
            }
        }
    }

    /// Whether a schema is there.
    ///
    /// - Parameters:
    ///   - schema: its name.
    ///   - url: a libpq URI or keyword string.
    /// - Returns: whether it is there.
    /// - Throws: `StorageError` when the server cannot be reached.
    package static func hasSchema(_ schema: String, at url: String) async throws -> Bool {
        try await OwnThread.run("postgres-schemas") {
            try Connection(url: url, purpose: .inspection).hasSchema(schema)
        }
    }
}

extension Connection {
    /// The role of this session, whose name is the default name of a database (libpq manual, "dbname").
    fileprivate var user: String { unsafe String(cString: PQuser(handle)) }

    fileprivate func hasSchema(_ schema: String) throws(StorageError) -> Bool {
        let name = PostgresScript.literal(.text(schema))
        return try simpleQuery("SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = \(name)") != "0"
    }
}
