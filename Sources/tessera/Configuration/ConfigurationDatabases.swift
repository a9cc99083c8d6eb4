// Where the databases of the services are. `DatabaseSettings` reads them together.

private let sqlite = ConfigurationKey.Fallback.described("SQLite in the data folder")
private let none = ConfigurationKey.Fallback.described("–")

extension ConfigurationKey {
    static let authDatabaseURL = Self(
        "TESSERA_AUTH_DATABASE_URL",
        .databaseURL,
        sqlite,
        secret: true,
        "auth's database: `sqlite:PATH` or `postgres://…`, a libpq URI, which may name several hosts"
    )
    static let chatDatabaseURL = Self(
        "TESSERA_CHAT_DATABASE_URL",
        .databaseURL,
        sqlite,
        secret: true,
        "chat's database"
    )
    static let databaseURL = Self(
        "DATABASE_URL",
        .postgresURL,
        none,
        secret: true,
        "one PostgreSQL database for each service that has no URL of its own, with a schema for each"
    )
    static let authDatabaseSchema = Self(
        "TESSERA_AUTH_DATABASE_SCHEMA",
        .schemaName,
        .described("where the tables are, else `public`, in a shared database `tessera_auth`"),
        "the PostgreSQL schema of auth's tables"
    )
    static let chatDatabaseSchema = Self(
        "TESSERA_CHAT_DATABASE_SCHEMA",
        .schemaName,
        .described("where the tables are, else `public`, in a shared database `tessera_chat`"),
        "the PostgreSQL schema of chat's tables"
    )
    static let postgresHost = Self(
        "POSTGRES_HOST",
        .host,
        .value("localhost"),
        "with any of these five, the host in the URL of each service that has none"
    )
    static let postgresPort = Self("POSTGRES_PORT", .port, .value("5432"), "the port of that URL")
    static let postgresUser = Self("POSTGRES_USER", .text, .value("postgres"), "the user of that URL")
    static let postgresPassword = Self("POSTGRES_PASSWORD", .text, none, secret: true, "the password of that URL")
    static let postgresDatabase = Self(
        "POSTGRES_DB",
        .text,
        .described("`POSTGRES_USER`"),
        "auth's database in that URL; chat's is `<POSTGRES_DB>_chat`"
    )

    static let databases: [ConfigurationKey] = [
        authDatabaseURL, chatDatabaseURL, databaseURL, authDatabaseSchema, chatDatabaseSchema, postgresHost,
        postgresPort, postgresUser, postgresPassword, postgresDatabase,
    ]
}
