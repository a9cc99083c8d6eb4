// The database of each service, from the settings that may name it.
//
// A setting without effect leads to an empty database in silence. So both services use one engine, settings of both
// engines refuse to start, and no service falls back to SQLite beside a setting of PostgreSQL.

import Storage

struct DatabaseSettings: Sendable {
    private static let services = ["auth", "chat"]
    private let urls: [String: DatabaseURL]
    /// Why a service without a setting cannot use SQLite; thrown where its database is needed.
    private let refusals: [String: ConfigurationError]

    /// - Throws: `ConfigurationError` for a wrong value, and for settings of both engines.
    init(_ reader: SettingsReader, dataDirectory: String) throws {
        var own: [String: DatabaseURL] = [:]
        var schemas: [String: String] = [:]
        for service in Self.services {
            own[service] = try Self.url(reader, Self.urlKey(of: service))
            schemas[service] = try Self.schema(reader, Self.schemaKey(of: service))
        }
        let shared = try Self.url(reader, .databaseURL)
        if case .sqlite = shared { throw ConfigurationError(.databaseURL) }
        let parts = try Self.parts.filter { try reader.text($0) != nil }.map(\.name)
        let postgres =
            try Self.names(.postgres, own)
            + (reader.text(.databaseURL) == nil ? [] : [ConfigurationKey.databaseURL.name])
            + parts + Self.services.filter { schemas[$0] != nil }.map { Self.schemaKey(of: $0).name }
        if let first = Self.names(.sqlite, own).first, let other = postgres.first {
            throw ConfigurationError(
                key: first,
                "names SQLite, and \(other) is a setting of PostgreSQL: both services use one engine"
            )
        }

        var urls: [String: DatabaseURL] = [:]
        var refusals: [String: ConfigurationError] = [:]
        for service in Self.services {
            if let url = own[service] ?? shared {
                urls[service] = url
            } else if !parts.isEmpty {
                urls[service] = .postgres(url: try Self.url(of: service, fromParts: reader))
            } else if let other = postgres.first {
                let expectation = "is required, since \(other) is a setting of PostgreSQL"
                refusals[service] = ConfigurationError(Self.urlKey(of: service), expectation)
            } else {
                urls[service] = .sqlite(path: "\(dataDirectory)/\(service).sqlite")
            }
        }
        let isOne = urls["auth"] == urls["chat"]
        for (service, url) in urls {
            guard case .postgres(let text, _) = url else { continue }
            let isShared = isOne || (own[service] == nil && shared != nil)
            urls[service] = .postgres(
                url: text,
                schema: schemas[service].map { .named($0) } ?? .found(isShared: isShared)
            )
        }
        self.urls = urls
        self.refusals = refusals
    }

    /// - Throws: `ConfigurationError` when nothing names this service's database, but a setting is of PostgreSQL.
    func url(of service: String) throws -> DatabaseURL {
        if let refusal = refusals[service] { throw refusal }
        guard let url = urls[service] else { throw ConfigurationError(Self.urlKey(of: service)) }
        return url
    }

    static func urlKey(of service: String) -> ConfigurationKey {
        service == "auth" ? .authDatabaseURL : .chatDatabaseURL
    }

    static func schemaKey(of service: String) -> ConfigurationKey {
        service == "auth" ? .authDatabaseSchema : .chatDatabaseSchema
    }

    private static func url(_ reader: SettingsReader, _ key: ConfigurationKey) throws -> DatabaseURL? {
        try reader.text(key).map { text in
            guard let url = DatabaseURL(text) else { throw ConfigurationError(key) }
            guard !DatabaseURL.isAmbiguous(text) else {
                throw ConfigurationError(key, "has an @ too many: in a password it is written %40, and / is %2F")
            }
            return url
        }
    }

    private static func schema(_ reader: SettingsReader, _ key: ConfigurationKey) throws -> String? {
        try reader.text(key).map { name in
            let isName = name.wholeMatch(of: /[a-z_][a-z0-9_]{0,62}/) != nil
            guard isName, !name.hasPrefix("pg_") else { throw ConfigurationError(key) }
            return name
        }
    }

    private static func names(_ engine: SQLEngine, _ urls: [String: DatabaseURL]) -> [String] {
        services.filter { urls[$0]?.engine == engine }.map { urlKey(of: $0).name }
    }

    private static let parts: [ConfigurationKey] = [
        .postgresHost, .postgresPort, .postgresUser, .postgresPassword, .postgresDatabase,
    ]

    /// Reads the variables of the PostgreSQL image; chat has a database of its own.
    private static func url(of service: String, fromParts reader: SettingsReader) throws -> String {
        let host = try reader.line(.postgresHost)
        let port = try reader.number(.postgresPort)
        let user = try reader.line(.postgresUser)
        let database = try reader.line(.postgresDatabase, else: user)
        let name = service == "auth" ? database : "\(database)_\(service)"
        let password = try reader.text(.postgresPassword).map { ":\(DatabaseURL.escaped($0))" } ?? ""
        let place = "\(DatabaseURL.escaped(host)):\(port)/\(DatabaseURL.escaped(name))"
        return "postgres://\(DatabaseURL.escaped(user))\(password)@\(place)"
    }
}
