import Storage
import StoragePostgres
import Testing

@Suite("PostgreSQL endpoints")
struct PostgresEndpointTests {
    private static let verified = ["sslmode": "verify-full", "sslrootcert": "/authorities"]

    private func defaults(_ url: String, _ environment: [String: String] = [:]) throws -> [String: String] {
        try PostgresEndpoint(url: url, environment: environment, authorities: "/authorities").defaults
    }

    @Test(
        "this machine needs no certificate",
        arguments: [
            "postgres:///app", "postgres://localhost/app", "postgres://LocalHost/app", "postgres://127.0.0.1/app",
            "postgres://127.8.9.10:6000/app", "postgres://[::1]/app", "postgres://[0:0:0:0:0:0:0:1]/app",
            "postgres://%2Fvar%2Frun%2Fpostgresql/app", "postgres:///app?host=/tmp", "host=@abstract dbname=app",
            "host=localhost hostaddr=127.0.0.1", "host=localhost sslmode=require",
        ]
    )
    func local(url: String) throws {
        #expect(try defaults(url) == [:])
    }

    @Test(
        "any other host must prove its name to the system's authorities",
        arguments: [
            "postgres://db.example.com/app", "postgres://10.0.0.5/app", "postgres://[2001:db8::1]/app",
            "postgres://localhost.example.com/app", "postgres://127.0.0.1.example.com/app", "postgres://0.0.0.0/app",
            "postgres://[::ffff:10.0.0.5]/app", "host=localhost hostaddr=10.0.0.5",
            "host=db.example.com hostaddr=127.0.0.1", "postgres:///app?host=db.example.com", "service=production",
        ]
    )
    func remote(url: String) throws {
        #expect(try defaults(url) == Self.verified)
    }

    @Test("one host of several that is elsewhere is enough, and the one that takes writes is meant")
    func severalHosts() throws {
        let readWrite = ["target_session_attrs": "read-write"]
        #expect(try defaults("postgres://127.0.0.1:1,localhost:2/app") == readWrite)
        #expect(try defaults("postgres://localhost,db.example.com/app") == Self.verified.merging(readWrite) { $1 })
        #expect(try defaults("hostaddr=127.0.0.1,127.0.0.2") == readWrite)
        #expect(try defaults("postgres://localhost,127.0.0.1/app?target_session_attrs=any") == [:])
        #expect(
            try defaults("postgres://localhost,127.0.0.1/app", ["PGTARGETSESSIONATTRS": "prefer-standby"]) == [:]
        )
    }

    @Test("what the URL or the environment says is left alone")
    func overridden() throws {
        let remote = "postgres://db.example.com/app"
        #expect(try defaults("\(remote)?sslmode=require") == [:])
        #expect(try defaults("\(remote)?sslmode=disable") == [:])
        #expect(try defaults("\(remote)?sslrootcert=/own.crt") == ["sslmode": "verify-full"])
        #expect(try defaults("\(remote)?sslmode=verify-ca") == ["sslrootcert": "/authorities"])
        #expect(try defaults("postgres://localhost/app?sslmode=verify-full") == ["sslrootcert": "/authorities"])
        #expect(try defaults(remote, ["PGSSLMODE": "require"]) == [:])
        #expect(try defaults(remote, ["PGSSLMODE": ""]) == Self.verified)
        #expect(try defaults(remote, ["PGSSLROOTCERT": "/own.crt"]) == ["sslmode": "verify-full"])
        #expect(try defaults("\(remote)?sslmode=verify-full", ["PGSSLMODE": "disable"]).keys.contains("sslrootcert"))
        // Without a host in the URL, libpq uses the environment.
        #expect(try defaults("postgres:///app", ["PGHOST": "db.example.com"]) == Self.verified)
        #expect(try defaults("postgres://localhost/app", ["PGHOSTADDR": "10.0.0.5"]) == Self.verified)
        #expect(try defaults("postgres:///app", ["PGSERVICE": "production"]) == Self.verified)
        #expect(try defaults("postgres://localhost/app", ["PGHOST": "db.example.com"]) == [:])
    }

    @Test("a URL that libpq cannot read is an error that does not repeat it")
    func unreadable() {
        let error = #expect(throws: StorageError.self) { try defaults("postgres://tessera:secret-1@[::1/x") }
        #expect(!"\(String(describing: error))".contains("secret-1"))
    }
}
