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
    ///   - slow: a batch of statements that takes longer is logged.
    ///   - logger: for the connections' warnings.
    /// - Returns: the open database.
    /// - Throws: `StorageError` when it cannot be opened.
    static func open(
        _ url: DatabaseURL,
        service: String,
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
        case .postgres(let url):
            return ServiceDatabase(
                try await PostgresDatabase.connect(url: url, configuration: .init(slow: slow), logger: logger),
                service,
                migrator
            )
        }
    }

    func prepare(migrate: Bool, logger: Logger) async throws {
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

struct StartFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
