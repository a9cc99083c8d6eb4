// Which schema of a PostgreSQL database holds a service's tables (docs/decisions/0047-databases.md).
import Storage
import StoragePostgres

enum DatabaseSchema: Hashable, Sendable {
    /// As a setting names it.
    case named(String)
    /// Where the tables are. New ones go to the connection's own schema, or in a database that the services share, to
    /// the service's.
    case found(isShared: Bool)

    /// The schema of a service in a shared database.
    static func usual(of service: String) -> String { "tessera_\(service)" }

    /// Decides by what is in the database.
    ///
    /// - Parameters:
    ///   - url: a libpq URI.
    ///   - service: `auth` or `chat`.
    /// - Returns: the schema's name.
    /// - Throws: `StorageError`; `StartFailure` when the tables are there twice.
    func resolve(at url: String, for service: String) async throws -> String {
        switch self {
        case .named(let name): name
        case .found(let isShared):
            try Self.choose(
                try await PostgresSchemas.find(service, besides: Self.usual(of: service), at: url),
                for: service,
                isShared: isShared
            )
        }
    }

    static func choose(_ found: PostgresSchemas, for service: String, isShared: Bool) throws -> String {
        let usual = usual(of: service)
        switch (found.isInOwn, found.isInOther) {
        case (true, false): return found.own
        case (false, true): return usual
        case (false, false): return isShared ? usual : found.own
        case (true, true):
            let key = DatabaseSettings.schemaKey(of: service).name
            throw StartFailure("the tables of \(service) are in two schemas, \(found.own) and \(usual): set \(key)")
        }
    }
}
