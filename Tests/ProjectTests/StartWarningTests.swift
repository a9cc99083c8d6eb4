// What weakens a server is named when it starts.
import Foundation
import Testing

@testable import tessera

@Suite("Warnings at the start")
struct StartWarningTests {
    private static func warnings(
        _ kind: ServerKind,
        _ environment: [String: String],
        flags: [String: String] = [:]
    ) async throws -> [StartWarning] {
        try Settings(try await SettingsReader(flags: flags, environment: environment, file: nil)).warnings(of: kind)
    }

    private static let https = [
        "TESSERA_PUBLIC_URL": "https://auth.example.com", "TESSERA_CHAT_PUBLIC_URL": "https://chat.example.com",
        "TESSERA_AUTH_URL": "https://auth.example.com",
    ]

    @Test("nothing is said of a server without a weakness")
    func none() async throws {
        #expect(try await Self.warnings(.dev, [:]) == [])
        #expect(try await Self.warnings(.auth, Self.https) == [])
        #expect(try await Self.warnings(.chat, Self.https) == [])
    }

    struct Weakness: Sendable, CustomTestStringConvertible {
        let kind: ServerKind
        let key: String
        let value: String
        var testDescription: String { "\(kind) \(key)=\(value)" }
    }

    static let weaknesses = [
        Weakness(kind: .dev, key: "TESSERA_RATE_LIMITS", value: "off"),
        Weakness(kind: .auth, key: "TESSERA_RATE_LIMITS", value: "off"),
        Weakness(kind: .chat, key: "TESSERA_RATE_LIMITS", value: "off"),
        Weakness(kind: .auth, key: "TESSERA_MASTER_KEY", value: String(repeating: "A", count: 43) + "="),
        Weakness(kind: .dev, key: "TESSERA_HOST", value: "0.0.0.0"),
        Weakness(kind: .dev, key: "TESSERA_HOST", value: "::"),
        Weakness(kind: .dev, key: "TESSERA_PUBLIC_URL", value: "https://dev.example.com"),
        Weakness(kind: .auth, key: "TESSERA_PUBLIC_URL", value: "http://localhost:8080"),
        Weakness(kind: .chat, key: "TESSERA_CHAT_PUBLIC_URL", value: "http://127.0.0.1:8081"),
        Weakness(kind: .chat, key: "TESSERA_AUTH_URL", value: "http://auth:8080"),
        Weakness(kind: .auth, key: "TESSERA_CORS_ORIGINS", value: "https://app.example.net"),
    ]

    @Test("each weakness is named once, by its setting and without a secret", arguments: weaknesses)
    func named(weakness: Weakness) async throws {
        let settings = (weakness.kind == .dev ? [:] : Self.https).merging([weakness.key: weakness.value]) { $1 }
        let warnings = try await Self.warnings(weakness.kind, settings)
        #expect(warnings.map { $0.fields["setting"] } == [weakness.key])
        #expect(!"\(warnings)".contains("AAAA"))
    }

    @Test("a ring that comes from a file is not named")
    func ringInFile() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "tessera-\(UUID().uuidString)")
        try (String(repeating: "A", count: 43) + "=").write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let settings = Self.https.merging(["TESSERA_MASTER_KEY_FILE": file.path]) { $1 }
        #expect(try await Self.warnings(.auth, settings) == [])
    }

    @Test("each origin on another site is named, and no other")
    func sites() async throws {
        let origins = [
            "https://app.example.com", "https://example.com", "https://a.example.org", "http://localhost:3000",
        ]
        let settings = Self.https.merging(["TESSERA_CORS_ORIGINS": origins.joined(separator: ",")]) { $1 }
        let named = try await Self.warnings(.auth, settings).compactMap { $0.fields["origin"] }
        #expect(named == ["https://a.example.org", "http://localhost:3000"])
        #expect(try await Self.warnings(.chat, settings) == [], "chat takes no cookie")
    }

    @Test("a database URL with a password is not taken from a flag, which `ps` shows")
    func passwordInFlag() throws {
        let refused = [
            "postgres://name:hunter2@db/tessera", "postgresql://name:hunter2@db1,db2/tessera",
            "postgres://db/tessera?password=hunter2", "postgres://db/tessera?a=b&p%61ssword=hunter2",
            "postgres://db/tessera?sslpassword=hunter2", "postgres://name:hunt?er2@db/tessera",
        ]
        for url in refused {
            for key in [ConfigurationKey.authDatabaseURL, .chatDatabaseURL] {
                let error = #expect(throws: ConfigurationError.self, "\(url)") {
                    try CommonOptions.refusePassword(in: url, key)
                }
                #expect(error?.description.contains("hunt") == false)
            }
        }
        for url in ["sqlite:a.sqlite", "postgres://name@db/tessera?sslmode=require", "postgres://db", "postgres:///t"] {
            try CommonOptions.refusePassword(in: url, .authDatabaseURL)
        }
    }
}

@Suite("Sites")
struct SiteTests {
    @Test(
        "one scheme, and one host or one registrable domain, are one site",
        arguments: [
            ("https://app.example.com", "https://auth.example.com"), ("https://example.com", "https://a.b.example.com"),
            ("https://example.com:8443", "https://example.com"), ("http://localhost:3000", "http://localhost:8080"),
            ("http://127.0.0.1:1", "http://127.0.0.1:2"), ("http://[::1]:1", "http://[::1]"),
            ("https://app.example.co.uk", "https://auth.example.co.uk"), ("https://intranet", "https://intranet:8443"),
            ("https://a.me.github.io", "https://b.me.github.io"),
        ]
    )
    func same(one: String, other: String) {
        #expect(Site.isSame(one, other) && Site.isSame(other, one))
    }

    @Test(
        "everything else is two sites",
        arguments: [
            ("http://localhost:3000", "http://127.0.0.1:8080"), ("http://localhost:1", "http://[::1]:1"),
            ("http://127.0.0.1", "http://127.0.0.2"), ("http://localhost", "http://app.localhost"),
            ("http://a.localhost", "http://localhost"), ("https://app.example.com", "http://auth.example.com"),
            ("https://app.example.com", "https://app.example.net"), ("https://app.test", "https://auth.test"),
            ("https://a.co.uk", "https://b.co.uk"), ("https://a.com.au", "https://b.com.au"),
            ("https://me.github.io", "https://you.github.io"), ("https://a.up.railway.app", "https://b.up.railway.app"),
            ("https://me.vercel.app", "https://auth.example.com"), ("https://aexample.com", "https://example.com"),
            ("https://1.2.3.4", "https://5.2.3.4"),
        ]
    )
    func different(one: String, other: String) {
        #expect(!Site.isSame(one, other) && !Site.isSame(other, one))
    }
}
