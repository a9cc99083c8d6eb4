// Which database a service gets from the settings that may name one, and what is refused because it would be silent.
import StoragePostgres
import Testing

@testable import tessera

@Suite("Settings of databases")
struct DatabaseSettingsTests {
    private static func read(_ environment: [String: String]) async throws -> Settings {
        try Settings(try await SettingsReader(flags: [:], environment: environment, file: nil))
    }

    private static let parts = [
        "POSTGRES_HOST": "db", "POSTGRES_USER": "te@s", "POSTGRES_PASSWORD": "p@ss/wörd:?#%", "POSTGRES_DB": "main",
    ]

    @Test("the variables of a PostgreSQL image build each URL that is not given")
    func variables() async throws {
        let settings = try await Self.read(Self.parts)
        let user = "postgres://te%40s:p%40ss%2Fw%C3%B6rd%3A%3F%23%25@db:5432"
        #expect(try settings.authDatabase == .postgres(url: "\(user)/main"))
        #expect(try settings.chatDatabase == .postgres(url: "\(user)/main_chat"))
        let own = try await Self.read(Self.parts.merging(["TESSERA_CHAT_DATABASE_URL": "postgres://other/chat"]) { $1 })
        #expect(try own.authDatabase == .postgres(url: "\(user)/main"))
        #expect(try own.chatDatabase == .postgres(url: "postgres://other/chat"))
    }

    @Test(
        "any of them without a host is a server on this machine, never SQLite",
        arguments: [
            ("POSTGRES_USER", "ada", "postgres://ada@localhost:5432/ada"),
            ("POSTGRES_PASSWORD", "secret", "postgres://postgres:secret@localhost:5432/postgres"),
            ("POSTGRES_PORT", "5433", "postgres://postgres@localhost:5433/postgres"),
            ("POSTGRES_DB", "main", "postgres://postgres@localhost:5432/main"),
        ]
    )
    func withoutHost(name: String, value: String, url: String) async throws {
        let settings = try await Self.read([name: value])
        #expect(try settings.authDatabase == .postgres(url: url))
        #expect(try settings.chatDatabase == .postgres(url: "\(url)_chat"))
    }

    @Test("DATABASE_URL is one database for both, with a schema for each, and goes before the variables")
    func shared() async throws {
        let url = "postgres://ada@db/app"
        let both = DatabaseURL.postgres(url: url, schema: .found(isShared: true))
        let settings = try await Self.read(Self.parts.merging(["DATABASE_URL": url]) { $1 })
        #expect(try settings.authDatabase == both)
        #expect(try settings.chatDatabase == both)
        // The same URL twice is the same database.
        let twice = try await Self.read(["TESSERA_AUTH_DATABASE_URL": url, "TESSERA_CHAT_DATABASE_URL": url])
        #expect(try twice.authDatabase == both)
        let named = try await Self.read(["DATABASE_URL": url, "TESSERA_CHAT_DATABASE_SCHEMA": "talk"])
        #expect(try named.chatDatabase == .postgres(url: url, schema: .named("talk")))
        #expect(try named.chatDatabase.description == "PostgreSQL db/app, schema talk")
    }

    @Test(
        "settings of both engines are refused, with their names",
        arguments: [
            ["TESSERA_AUTH_DATABASE_URL": "sqlite:a", "POSTGRES_USER": "ada"],
            ["TESSERA_CHAT_DATABASE_URL": "sqlite:a", "DATABASE_URL": "postgres://db/a"],
            ["TESSERA_AUTH_DATABASE_URL": "sqlite:a", "TESSERA_CHAT_DATABASE_URL": "postgres://db/a"],
            ["TESSERA_AUTH_DATABASE_URL": "sqlite:a", "TESSERA_AUTH_DATABASE_SCHEMA": "a"],
        ]
    )
    func mixture(environment: [String: String]) async throws {
        let error = await #expect(throws: ConfigurationError.self) { try await Self.read(environment) }
        let text = try #require(error).description
        for name in environment.keys { #expect(text.contains(name), "\(text)") }
    }

    @Test("a service without a setting of its own is refused where it is used beside PostgreSQL")
    func half() async throws {
        let settings = try await Self.read(["TESSERA_AUTH_DATABASE_URL": "postgres://db/auth"])
        #expect(try settings.authDatabase == .postgres(url: "postgres://db/auth"))
        let error = #expect(throws: ConfigurationError.self) { try settings.chatDatabase }
        #expect(error?.key == "TESSERA_CHAT_DATABASE_URL")
        #expect(error?.description.contains("TESSERA_AUTH_DATABASE_URL") == true)
        let schema = try await Self.read(["TESSERA_CHAT_DATABASE_SCHEMA": "talk"])
        #expect(throws: ConfigurationError.self) { try schema.chatDatabase }
    }

    @Test("tables are used where they are, and new ones go to the service's schema only in a shared database")
    func schema() throws {
        func choose(_ isInOwn: Bool, _ isInOther: Bool, isShared: Bool) throws -> String {
            let found = PostgresSchemas(own: "public", isInOwn: isInOwn, isInOther: isInOther)
            return try DatabaseSchema.choose(found, for: "auth", isShared: isShared)
        }
        for isShared in [false, true] {
            #expect(try choose(true, false, isShared: isShared) == "public")
            #expect(try choose(false, true, isShared: isShared) == "tessera_auth")
            let error = #expect(throws: StartFailure.self) { try choose(true, true, isShared: isShared) }
            #expect(error?.description.contains("TESSERA_AUTH_DATABASE_SCHEMA") == true)
        }
        #expect(try choose(false, false, isShared: false) == "public")
        #expect(try choose(false, false, isShared: true) == "tessera_auth")
    }
}
