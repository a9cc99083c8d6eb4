import AuthService
import ChatService
import Foundation
import Logging
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Testing

@testable import tessera

@Suite("Configuration")
struct ConfigurationTests {
    @discardableResult
    private static func read(
        _ environment: [String: String] = [:],
        flags: [String: String] = [:],
        file: String? = nil
    ) async throws -> (settings: Settings, auth: AuthConfiguration) {
        let settings = try Settings(try await SettingsReader(flags: flags, environment: environment, file: file))
        let ring = try settings.masterKeys() ?? MasterKeyRing(base64Ring: key())
        _ = try settings.chatConfiguration()
        _ = try settings.chatFeed()
        _ = try settings.isChatAlone()
        return (settings, try settings.authConfiguration(masterKeys: ring))
    }

    private static func key() -> String { Base64.encode(RandomSource.system.bytes(32)) }

    private static func withFile<T>(_ text: String, _ body: (String) async throws -> T) async throws -> T {
        let file = FileManager.default.temporaryDirectory.appending(path: "tessera-\(UUID().uuidString).yaml")
        try text.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        return try await body(file.path)
    }

    @Test("with nothing set, the defaults are those of the services")
    func defaults() async throws {
        let (settings, auth) = try await Self.read()
        #expect(settings.auth.description == "127.0.0.1:8080")
        #expect(settings.chat.description == "127.0.0.1:8081")
        #expect(settings.publicURL == "http://localhost:8080")
        #expect(settings.chatPublicURL == "http://localhost:8081")
        #expect(settings.authURL == "http://127.0.0.1:8080")
        #expect(settings.issuer == settings.publicURL)
        #expect(settings.metrics == nil)
        #expect(try settings.authDatabase == .sqlite(path: "./tessera-data/auth.sqlite"))
        #expect(try settings.chatDatabase == .sqlite(path: "./tessera-data/chat.sqlite"))
        #expect(settings.logLevel == .info)
        #expect(try settings.masterKeys() == nil)
        #expect(try settings.chatConfiguration().audience == "chat")

        let own = AuthConfiguration(publicURL: settings.publicURL, masterKeys: auth.masterKeys)
        #expect(auth.issuer == own.issuer)
        #expect(auth.audiences == own.audiences)
        #expect(auth.accessTokenLifetime == own.accessTokenLifetime)
        #expect(auth.refreshGrace == own.refreshGrace)
        #expect(auth.sessionIdle == own.sessionIdle)
        #expect(auth.sessionAbsolute == own.sessionAbsolute)
        #expect(auth.passwordMinimum == own.passwordMinimum)
        #expect(auth.argon2 == own.argon2)
        #expect(auth.hashThreads == ProcessInfo.processInfo.activeProcessorCount)
        #expect(auth.hashQueue == own.hashQueue)
        #expect(auth.signingAlgorithm == own.signingAlgorithm)
        #expect(auth.keyRotation == own.keyRotation)
        #expect(auth.eventRetention == own.eventRetention)
        #expect(auth.auditRetention == own.auditRetention)
        #expect(auth.cleanupInterval == own.cleanupInterval)
        #expect(auth.rateLimits)
        #expect(auth.requests == own.requests)
        #expect(try settings.chatConfiguration().requests == own.requests)
        #expect(auth.memory.bytes == own.memory.bytes)
        let connections = ConnectionLimits()
        #expect(settings.connections.connections == connections.connections)
        #expect(settings.connections.connectionsPerNetwork == connections.connectionsPerNetwork)
        #expect(settings.connections.requestTimeout == connections.requestTimeout)
        #expect(settings.connections.writeTimeout == connections.writeTimeout)
    }

    @Test("an amount of memory is bytes, or KiB, MiB or GiB, with or without a space")
    func sizes() async throws {
        let sizes = ["67108864", "65536KiB", "64MiB", "64 mib"]
        for text in sizes {
            #expect(try await Self.read(["TESSERA_MEMORY_BUDGET": text]).settings.memory.bytes == 64 << 20, "\(text)")
        }
        #expect(try await Self.read(["TESSERA_MEMORY_BUDGET": "2GiB"]).settings.memory.bytes == 2 << 30)
    }

    @Test("chat has a ring of its own, and reads nothing of auth's")
    func chatRing() async throws {
        #expect(try await Self.read().settings.chatConfiguration().keys == nil)
        let (own, masters) = (Self.key(), "no ring at all")
        let settings = try Settings(
            try await SettingsReader(
                flags: [:],
                environment: ["TESSERA_CHAT_KEY": own, "TESSERA_MASTER_KEY": masters],
                file: nil
            )
        )
        let keys = try #require(try settings.chatConfiguration().keys)
        #expect(keys.shares(with: try MasterKeyRing(base64Ring: own)))
        // The control: auth does read it, and refuses it.
        #expect(throws: ConfigurationError.self) { try settings.masterKeys() }
    }

    @Test("settings that are weaker than their defaults are known by name")
    func weakened() async throws {
        #expect(try await Self.read().auth.weakSettings == [:])
        let weak = [
            "TESSERA_RATE_LIMITS": "off", "TESSERA_REFRESH_GRACE": "60s", "TESSERA_ACCESS_TOKEN_TTL": "11m",
            "TESSERA_SESSION_IDLE": "15d", "TESSERA_SESSION_ABSOLUTE": "91d", "TESSERA_KEY_ROTATION": "31d",
            "TESSERA_AUDIT_RETENTION": "364d", "TESSERA_ARGON2_MEMORY_KIB": "19455", "TESSERA_ARGON2_ITERATIONS": "1",
            "TESSERA_PERSON_REQUESTS_PER_SECOND": "51", "TESSERA_PERSON_REQUESTS_BURST": "501",
            "TESSERA_ADDRESS_REQUESTS_PER_SECOND": "51", "TESSERA_ADDRESS_REQUESTS_BURST": "501",
            "TESSERA_TRUSTED_PROXIES": "10.0.0.0/8,0.0.0.0/0",
        ]
        #expect(try await Self.read(weak).auth.weakSettings == weak)
        let stronger = [
            "TESSERA_REFRESH_GRACE": "5s", "TESSERA_SESSION_IDLE": "1d", "TESSERA_AUDIT_RETENTION": "400d",
            "TESSERA_ARGON2_MEMORY_KIB": "65536", "TESSERA_TRUSTED_PROXIES": "10.0.0.0/8",
        ]
        #expect(try await Self.read(stronger).auth.weakSettings == [:])
        // A secret is named, and its value is not shown.
        let key = Self.key()
        let named = try await Self.read(["TESSERA_MASTER_KEY": key]).auth.weakSettings
        #expect(named == ["TESSERA_MASTER_KEY": "in the environment"])
    }

    @Test("quotas are read by tier, and a list that is none is refused")
    func quotas() async throws {
        let set = [
            "TESSERA_QUOTA_MESSAGES_PER_DAY": "guest=20, user=50", "TESSERA_QUOTA_TOKENS_PER_DAY": "premium=1000000",
            "TESSERA_QUOTA_TOKENS_PER_MONTH": "user=0",
        ]
        let quotas = try await Self.read(set).settings.chatConfiguration().quotas
        #expect(quotas[.guest] == Quotas.Limits(messagesPerDay: 20))
        #expect(quotas[.user] == Quotas.Limits(messagesPerDay: 50, tokensPerMonth: 0))
        #expect(quotas[.premium] == Quotas.Limits(tokensPerDay: 1_000_000))
        #expect(quotas[.admin] == Quotas.Limits())
    }

    @Test("a flag goes before the environment, and that before the file")
    func precedence() async throws {
        try await Self.withFile("auth_port: 1001\nchat_port: 1002\nhash_queue: 7\n") { file in
            let environment = ["TESSERA_AUTH_PORT": "2001", "TESSERA_CHAT_PORT": "2002", "TESSERA_HASH_QUEUE": ""]
            let (settings, auth) = try await Self.read(environment, flags: ["TESSERA_AUTH_PORT": "3001"], file: file)
            #expect(settings.auth.port == 3001)
            #expect(settings.chat.port == 2002)
            // An empty variable counts as unset.
            #expect(auth.hashQueue == 7)
            // The public address follows the port.
            #expect(settings.publicURL == "http://localhost:3001")
        }
    }

    @Test("a file takes numbers, words that YAML may read as a truth value, durations and lists")
    func yaml() async throws {
        let text = """
            hash_threads: 3
            rate_limits: off
            access_token_ttl: 5m
            cors_origins: [https://a.example, https://b.example]
            trusted_proxies:
              - 10.0.0.0/8
              - ::1
            token_audiences: tessera, other
            """
        let auth = try await Self.withFile(text) { try await Self.read(file: $0).auth }
        #expect(auth.hashThreads == 3)
        #expect(!auth.rateLimits)
        #expect(auth.accessTokenLifetime == .seconds(300))
        #expect(auth.corsOrigins == ["https://a.example", "https://b.example"])
        #expect(auth.trustedProxies.count == 2)
        #expect(auth.audiences == ["tessera", "other"])
    }

    @Test(
        "a file that is none refuses to start",
        arguments: ["just a text", "- a\n- list\n", "auth_port: [\n", "cors_origins: [[a]]\n"]
    )
    func badFile(text: String) async throws {
        let error = await #expect(throws: ConfigurationError.self) {
            try await Self.withFile(text) { try await Self.read(file: $0) }
        }
        #expect(error?.key == "--config")
        let missing = await #expect(throws: ConfigurationError.self) { try await Self.read(file: "/nowhere/at/all") }
        #expect(missing?.key == "--config")
    }

    @Test("a secret may come from a file, once")
    func secretFromFile() async throws {
        let key = Self.key()
        try await Self.withFile("\(key)\n") { path in
            let (settings, _) = try await Self.read(["TESSERA_MASTER_KEY_FILE": path])
            #expect(try settings.reader.text(.masterKey) == key)
            // An older value beside it must not win unnoticed.
            let both = ["TESSERA_MASTER_KEY_FILE": path, "TESSERA_MASTER_KEY": Self.key()]
            let error = await #expect(throws: ConfigurationError.self) { try await Self.read(both) }
            #expect(error?.key == "TESSERA_MASTER_KEY")
            // A flag that names the file precedes the environment.
            let flagged = try await Self.read(
                ["TESSERA_MASTER_KEY": Self.key()],
                flags: ["TESSERA_MASTER_KEY_FILE": path]
            )
            #expect(try flagged.settings.reader.text(.masterKey) == key)
        }
        for path in ["/nowhere/at/all", "/dev/null"] {
            let error = await #expect(throws: ConfigurationError.self) {
                try await Self.read(["TESSERA_MASTER_KEY_FILE": path])
            }
            #expect(error?.key == "TESSERA_MASTER_KEY_FILE")
        }
        // Only secrets have a file variable.
        await #expect(throws: ConfigurationError.self) { try await Self.read(["TESSERA_HOST_FILE": "/dev/null"]) }
    }

    @Test("a name that is not a setting refuses to start and tells the nearest that is")
    func unknownNames() async throws {
        let variable = await #expect(throws: ConfigurationError.self) {
            try await Self.read(["TESSERA_RATE_LIMIT": "off"])
        }
        #expect(variable?.description == "TESSERA_RATE_LIMIT is not a setting; did you mean TESSERA_RATE_LIMITS?")
        let flag = await #expect(throws: ConfigurationError.self) {
            try await Self.read(flags: ["TESSERA_PORT_AUTH": "1"])
        }
        #expect(flag?.key == "TESSERA_PORT_AUTH")
        for (text, key) in [("auth_prot: 1", "auth_prot"), ("auth:\n  port: 1", "auth.port"), ("HOST: a", "HOST")] {
            let error = await #expect(throws: ConfigurationError.self) {
                try await Self.withFile(text) { try await Self.read(file: $0) }
            }
            #expect(error?.key == key)
        }
        // Other programs' variables are allowed.
        try await Self.read(["PATH": "/bin", "POSTGRES_INITDB_ARGS": "--data-checksums"])
    }

    /// An invalid value, and the settings without which it has no effect.
    struct Bad: Sendable, CustomTestStringConvertible {
        let key: ConfigurationKey
        let value: String
        var others: [String: String] = [:]
        var testDescription: String { "\(key.name)=\(value)" }
    }

    static let bad: [Bad] = {
        var bad: [Bad] = []
        func add(_ key: ConfigurationKey, _ values: String..., with others: [String: String] = [:]) {
            bad += values.map { Bad(key: key, value: $0, others: others) }
        }
        let postgres = ["POSTGRES_HOST": "db"]
        add(.allowHTTPURLs, "maybe")
        add(.host, "a\nb")
        add(.authPort, "0", "65536", "-1", "eighty", "80 ", "8080.0")
        add(.chatPort, "99999", "http")
        for key in [ConfigurationKey.publicURL, .chatPublicURL, .issuer] {
            add(key, "somewhere", "ftp://host.example", "https://", "https://host.example/a", "https://host.example?q")
            add(key, "https://name:password@host.example", "http://host.example", "http://127.0.0.1.host.example")
            add(key, "https://host.example:70000")
        }
        add(.authURL, "auth:8080", "unix:/run/auth", "http://auth:8080/v1")
        add(.metricsAddress, "nowhere", "127.0.0.1:", "127.0.0.1:0", ":9090", "::1:9090")
        add(.dataDirectory, "a\u{0}b")
        add(.trustedProxies, "10.0.0.0/33", "proxy.example", ",", "10.0.0.0/8,nonsense")
        add(
            .corsOrigins,
            "*",
            "null",
            "https://*.app.example",
            "https://app-*.example",
            "https://app.example:*",
            "https://app.example/path",
            "http://app.example"
        )
        add(.authDatabaseURL, "mysql://root:hunter2@db/tessera", "sqlite:", "sqlite::memory:", "auth.sqlite")
        add(.authDatabaseURL, "postgres://name:hunt@hunter2@db/tessera", "postgres://name:hunter2/x@db/tessera")
        add(.chatDatabaseURL, "http://name:hunter2@db")
        add(.databaseURL, "mysql://root:hunter2@db/tessera", "sqlite:tessera.sqlite", "tessera")
        for key in [ConfigurationKey.authDatabaseSchema, .chatDatabaseSchema] {
            add(key, "Upper", "1st", "pg_own", "a b", "a\"; DROP SCHEMA public", String(repeating: "a", count: 64), "ö")
        }
        add(.postgresHost, "a\nb")
        add(.postgresPort, "many", "0", with: postgres)
        add(.postgresUser, "a\nb", with: postgres)
        add(.postgresDatabase, "a\nb", with: postgres)
        add(.masterKey, "c2hvcnQ=", "this is not base64", "\(Self.key()),c2hvcnQ=", ",")
        let twice = Self.key()
        add(.masterKey, "\(twice),\(twice)")
        add(.chatKey, "c2hvcnQ=", "this is not base64", "\(twice),\(twice)")
        add(.tokenAudiences, ",", "chat,other")
        add(.chatAudience, "a\nb")
        add(.chatClientID, "a\nb", with: ["TESSERA_CHAT_CLIENT_SECRET": "hunter2hunter2"])
        add(.chatClientSecret, "hunter2\nhunter2", with: ["TESSERA_CHAT_CLIENT_ID": "chat"])
        add(.chatFollow, "perhaps", with: ["TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": "hunter2"])
        add(.verifierStale, "0s", "2d", "refuse", "60", "serve 1m", "-1m", "500ms")
        add(.signingAlgorithm, "HS256", "none")
        add(.keyRotation, "59m", "often")
        add(.accessTokenTTL, "0s", "9s", "25h", "soon", "10", "10ms", "m", "-10m", "1.5h", "9223372036854775807d")
        add(.refreshGrace, "61s", "-1s", "2m")
        add(.sessionIdle, "0d", "59s")
        add(.sessionAbsolute, "59s", "forever")
        add(.passwordMinimum, "7", "129", "eight")
        add(.argon2Memory, "7", "1048577", "19456KiB")
        add(.argon2Memory, "31", with: ["TESSERA_ARGON2_PARALLELISM": "4"])
        add(.argon2Memory, "1048576", with: ["TESSERA_ARGON2_ITERATIONS": "20"])
        add(.argon2Iterations, "0", "21")
        add(.argon2Parallelism, "0", "17")
        add(.hashThreads, "0", "257")
        add(.hashQueue, "0", "unbounded")
        for key in [ConfigurationKey.quotaMessages, .quotaTokensPerDay, .quotaTokensPerMonth] {
            add(key, "50", "user=", "user=-1", "user=1.5", "user=1,user=2", "root=1", "user=9223372036854775807", "=1")
            add(key, ",", "user=1;guest=2", "User=1")
        }
        for key in [ConfigurationKey.maxConnections, .maxConnectionsPerNetwork] { add(key, "0", "1000001", "many") }
        for key in [ConfigurationKey.requestTimeout, .writeTimeout] { add(key, "0s", "61m", "30") }
        add(.memoryBudget, "0", "15MiB", "2000GiB", "256MB", "-1MiB", "1.5GiB", "9223372036854775807GiB", "MiB")
        for key in [ConfigurationKey.personRate, .personBurst, .addressRate, .addressBurst] {
            add(key, "0", "-1", "50/s", "10000001")
        }
        add(.rateLimits, "perhaps", "true")
        add(.cleanupInterval, "0s", "2d")
        add(.eventRetention, "1h")
        add(.changeRetention, "59m", "forever")
        add(.auditRetention, "23h")
        add(.trashRetention, "3651d")
        add(.logSlowSQL, "61m", "-1ms", "100", "1.5s", "often", "9223372036854775807h")
        add(.logLevel, "loud")
        add(.logFormat, "xml")
        return bad
    }()

    @Test("a bad value is refused, its key named, and the value itself not repeated", arguments: bad)
    func badValue(bad: Bad) async throws {
        let environment = bad.others.merging([bad.key.name: bad.value]) { $1 }
        let error = await #expect(throws: ConfigurationError.self) { try await Self.read(environment) }
        let text = try #require(error).description
        #expect(text.hasPrefix("\(bad.key.name) "))
        #expect(!text.contains("\n"))
        #expect(!text.contains("hunter2"))
        // A shorter value may occur in any sentence.
        if bad.key.isSecret, bad.value.count > 7 { #expect(!text.contains(bad.value)) }
    }

    @Test("every key that can be wrong has a bad value above")
    func everyKeyIsTried() {
        let tried = Set(Self.bad.map(\.key))
        // Any text is a password.
        #expect(ConfigurationKey.all.filter { !tried.contains($0) } == [.postgresPassword])
    }

    @Test("chat follows the revocations with a client and its secret, and with neither of them alone")
    func chatClient() async throws {
        #expect(try await Self.read().settings.chatFeed() == nil)
        let (id, secret) = (["TESSERA_CHAT_CLIENT_ID": "chat"], ["TESSERA_CHAT_CLIENT_SECRET": "hunter2"])
        for (given, missing) in [(id, "TESSERA_CHAT_CLIENT_SECRET"), (secret, "TESSERA_CHAT_CLIENT_ID")] {
            let error = await #expect(throws: ConfigurationError.self) { try await Self.read(given) }
            #expect(try #require(error).description.hasPrefix("\(missing) is required"))
        }
        let both = id.merging(secret) { $1 }
        for (stale, expected) in [("serve", nil), ("Serve", nil), ("90s", .seconds(90)), ("10m", .seconds(600))]
            as [(String, Duration?)]
        {
            let all = both.merging(["TESSERA_VERIFIER_STALE": stale, "TESSERA_ACCESS_TOKEN_TTL": "1h"]) { $1 }
            let feed = try #require(try await Self.read(all).settings.chatFeed())
            #expect(feed.clientID == "chat")
            #expect(feed.clientSecret == "hunter2")
            #expect(feed.refuseAfter == expected)
            #expect(feed.tokenLifetime == .seconds(3600))
        }
    }

    @Test("chat starts without a client only where a setting says that it follows nothing, and with one never says so")
    func chatFollows() async throws {
        func follows(_ environment: [String: String]) async throws -> ChatFeedSettings? {
            try await Self.read(environment).settings.chatFollows()
        }
        let client = ["TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": "hunter2"]
        let missing = await #expect(throws: ConfigurationError.self) { try await follows([:]) }
        let text = try #require(missing).description
        #expect(text.hasPrefix("TESSERA_CHAT_CLIENT_ID ") && text.contains("TESSERA_CHAT_FOLLOW=off"), "\(text)")
        #expect(text.contains("deleted user"))
        #expect(try await follows(["TESSERA_CHAT_FOLLOW": "off"]) == nil)
        #expect(try await follows(client)?.clientID == "chat")
        let stale = await #expect(throws: ConfigurationError.self) {
            try await follows(["TESSERA_CHAT_FOLLOW": "off", "TESSERA_VERIFIER_STALE": "1m"])
        }
        #expect(stale?.key == "TESSERA_VERIFIER_STALE")
        let both = await #expect(throws: ConfigurationError.self) {
            try await follows(client.merging(["TESSERA_CHAT_FOLLOW": "OFF"]) { $1 })
        }
        #expect(both?.key == "TESSERA_CHAT_FOLLOW" && both?.description.contains("TESSERA_CHAT_CLIENT_ID") == true)
    }

    @Test(
        "events kept for less than ten minutes longer than an access token lives are refused, by their variable's name"
    )
    func eventRetention() async throws {
        // A day is the shortest retention and the longest lifetime.
        func read(_ life: String) async throws -> AuthConfiguration {
            try await Self.read(["TESSERA_EVENT_RETENTION": "1d", "TESSERA_ACCESS_TOKEN_TTL": life]).auth
        }
        for life in ["24h", "1d", "85801s", "1431m"] {
            let error = await #expect(throws: ConfigurationError.self, "\(life)") { try await read(life) }
            let text = try #require(error).description
            #expect(text.hasPrefix("TESSERA_EVENT_RETENTION "), "\(text)")
            #expect(text.contains("TESSERA_ACCESS_TOKEN_TTL"), "\(text)")
        }
        for life in ["85800s", "1430m", "10m"] {
            #expect(try await read(life).eventRetention == .seconds(86_400), "\(life)")
        }
    }

    @Test("every good form is taken")
    func goodValues() async throws {
        let (settings, auth) = try await Self.read([
            "TESSERA_PUBLIC_URL": "https://auth.example.com/",
            "TESSERA_CHAT_PUBLIC_URL": "http://localhost:9",
            "TESSERA_AUTH_URL": "http://auth:8080",
            "TESSERA_METRICS_ADDRESS": "[::1]:9999",
            "TESSERA_REFRESH_GRACE": "0s",
            "TESSERA_SESSION_IDLE": "12h",
            "TESSERA_SIGNING_ALG": "eddsa",
            "TESSERA_LOG_FORMAT": "JSON",
            "TESSERA_AUTH_DATABASE_URL": "postgresql://db1,db2/tessera?target_session_attrs=read-write",
            "TESSERA_CHAT_DATABASE_URL": "postgres://db/chat",
        ])
        #expect(settings.publicURL == "https://auth.example.com")
        #expect(auth.issuer == "https://auth.example.com")
        #expect(settings.chatPublicURL == "http://localhost:9")
        #expect(settings.authURL == "http://auth:8080")
        #expect(settings.metrics == ListenAddress(host: "::1", port: 9999))
        #expect(settings.metrics?.description == "[::1]:9999")
        #expect(auth.refreshGrace == .zero)
        #expect(auth.sessionIdle == .seconds(43_200))
        #expect(auth.signingAlgorithm == .eddsa)
        #expect(settings.logFormat == "json")
        #expect(try settings.chatDatabase == .postgres(url: "postgres://db/chat"))
    }

    @Test(
        "a database is described without its credentials",
        arguments: [
            "postgres://name:hunter2@db:5432/tessera?sslmode=require", "postgres://db/t?user=name&password=hunter2",
            "postgres://db/t?password=a@hunter2", "postgres://name:p?hunter2@db/tessera",
        ]
    )
    func description(url: String) throws {
        let text = try #require(DatabaseURL(url)).description
        #expect(text.contains("db") && !text.contains("hunter2") && !text.contains("name"), "\(text)")
    }

    @Test("no secret is taken as an argument of --set")
    func secretFlags() throws {
        for key in ConfigurationKey.all where key.isSecret {
            let error = #expect(throws: ConfigurationError.self) {
                try CommonOptions.assigned(["\(key.name)=hunter2"])
            }
            #expect(error?.key == key.name)
            #expect(error?.description.contains("hunter2") == false)
        }
        let flags = try CommonOptions.assigned(["TESSERA_AUTH_PORT=1", "TESSERA_HOST=a=b"])
        #expect(flags == ["TESSERA_AUTH_PORT": "1", "TESSERA_HOST": "a=b"])
        #expect(throws: ConfigurationError.self) { try CommonOptions.assigned(["hunter2"]) }
    }

    @Test("docs/configuration.md has the row of each key, and no other")
    func documented() throws {
        let rows = try Repository.text("docs/configuration.md").split(separator: "\n").map(String.init)
            .filter { $0.hasPrefix("| `") }
        #expect(rows == ConfigurationKey.all.map(Self.documentRow))
    }

    private static func documentRow(_ key: ConfigurationKey) -> String {
        let initial =
            switch key.fallback {
            case .value(let text): "`\(text)`"
            case .described(let words): words
            }
        return "| `\(key.name)` | \(key.kind.label) | \(initial) | \(key.isSecret ? "secret" : "–") | \(key.meaning) |"
    }

    @Test("each key has a name of its own, and `tessera settings` lists it with its default")
    func help() {
        let keys = ConfigurationKey.all
        #expect(Set(keys.map(\.name)).count == keys.count)
        #expect(Set(keys.map(\.fileKey)).count == keys.count)
        let help = ConfigurationKey.help
        for key in keys {
            #expect("\n\(help)".contains("\n\(key.name)") && !key.meaning.isEmpty)
            if case .value(let text) = key.fallback { #expect(help.contains("default: \(text)")) }
        }
    }
}
