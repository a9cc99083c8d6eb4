// Opens a service's database and migrates or refuses its schema.
import AuthService
import ChatService
import Embedded
import Foundation
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import StoragePostgres
import StorageSQLite

/// What opening a PostgreSQL database may make.
enum MissingPlace: Sendable {
    case refused
    /// The schema of a service in a shared database.
    case usualSchema
    /// The database and any schema.
    case made
}

struct ServiceDatabase: Sendable {
    let database: any SQLDatabase
    let migrator: Migrator
    private let writes: WriteMonitor

    private init(_ database: any SQLDatabase, _ service: String, _ migrator: Migrator) {
        writes = WriteMonitor(database) {
            let now = Clock.system.now()
            return service == "auth" ? AuthService.writeProbe(at: now) : ChatService.writeProbe(at: now)
        }
        self.database = writes
        self.migrator = migrator
    }

    /// Throws while the database is unreachable, its schema is not current, or writes fail.
    var isReady: @Sendable () async throws -> Void {
        {
            try await migrator.requireCurrent(database)
            try await writes.requireWritable()
        }
    }

    static func migrator(of service: String) throws -> Migrator {
        let files = EmbeddedFile.all(under: "migrations/")
        let migrations = try files.map { file in
            try Migration(fileName: String(file.path.dropFirst("migrations/".count)), source: file.text)
        }
        return Migrator(
            service: service,
            migrations: migrations,
            checksum: { Hex.encode(SHA256.digest($0)) },
            clock: Clock.system.now
        )
    }

    static func records(in database: any SQLDatabase) async throws -> [MigrationRecord] {
        var records: [MigrationRecord] = []
        for service in MigrateCommand.Service.allCases {
            records += try await migrator(of: service.rawValue).records(in: database)
        }
        return records
    }

    /// Opens a service's database without a check of its schema.
    ///
    /// - Parameters:
    ///   - url: the database.
    ///   - service: whose schema it has.
    ///   - missing: what may be made where it is not there.
    ///   - slow: a batch of statements that takes longer is logged.
    ///   - logger: for the connections' warnings.
    /// - Returns: the open database.
    /// - Throws: `StorageError` when it cannot be opened.
    static func open(
        _ url: DatabaseURL,
        service: String,
        missing: MissingPlace = .refused,
        slow: Duration = .milliseconds(100),
        logger: Logger
    ) async throws -> ServiceDatabase {
        let migrator = try migrator(of: service)
        switch url {
        case .sqlite(let path):
            let folder = URL(filePath: path).deletingLastPathComponent().path
            try PrivateFiles.makeFolder(folder)
            // SECURITY: SQLite would make it readable for all users; the WAL takes the mode of the file.
            try PrivateFiles.makeFile(path)
            return ServiceDatabase(
                try await SQLiteDatabase.open(path: path, configuration: .init(slow: slow), logger: logger),
                service,
                migrator
            )
        case .postgres(let url, let schema):
            let schema = try await place(url, schema, of: service, missing: missing, logger: logger)
            return ServiceDatabase(
                try await PostgresDatabase.connect(
                    url: url,
                    schema: schema,
                    configuration: .init(slow: slow),
                    logger: logger
                ),
                service,
                migrator
            )
        }
    }

    /// Finds the schema of a service, and makes what is missing.
    private static func place(
        _ url: String,
        _ schema: DatabaseSchema,
        of service: String,
        missing: MissingPlace,
        logger: Logger
    ) async throws -> String {
        if missing == .made, let name = try await PostgresCreation.makeDatabase(of: url) {
            logger.notice("database made", metadata: ["database": "\(name)"])
        }
        let name = try await schema.resolve(at: url, for: service)
        if missing == .made || missing == .usualSchema && name == DatabaseSchema.usual(of: service) {
            if try await PostgresCreation.makeSchema(name, at: url) {
                logger.notice("schema made", metadata: ["schema": "\(name)"])
            }
        } else if try await !PostgresCreation.hasSchema(name, at: url) {
            throw StartFailure(
                "\(service)'s database has no schema \(name); `tessera migrate up --create-database` makes it"
            )
        }
        return name
    }

    func prepare(migrate: Bool, logger: Logger) async throws {
        try await requireOwn()
        if migrate {
            for name in try await migrator.up(database) { logger.info("migrated", metadata: ["migration": "\(name)"]) }
        }
        do {
            try await migrator.requireCurrent(database)
        } catch StorageError.schema(let reason) {
            throw StartFailure("\(reason); run `tessera migrate up`, or start with --migrate")
        }
    }
}

extension ServiceDatabase {
    /// Refuses a place that holds another service's tables: both have a table `job_leases`.
    func requireOwn() async throws {
        let others = Set(try await Self.records(in: database).map(\.service)).subtracting([migrator.service])
        guard let other = others.first else { return }
        let key = DatabaseSettings.schemaKey(of: migrator.service)
        throw StartFailure(
            "\(migrator.service)'s database holds the tables of \(other); in PostgreSQL \(key.name) names another schema, "
                + "such as \(DatabaseSchema.usual(of: migrator.service))"
        )
    }
}

struct StartFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
