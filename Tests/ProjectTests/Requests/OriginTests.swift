// Origins of settings, in the one spelling that browsers send.
import Testing

@testable import tessera

@Suite("Origins")
struct OriginTests {
    @Test(
        "an origin is taken in any spelling that a browser would tidy up",
        arguments: [
            ("https://app.example", "https://app.example"), ("https://APP.example:443", "https://app.example"),
            ("HTTPS://App.Example/", "https://app.example"), ("https://app.example:8443", "https://app.example:8443"),
            ("https://app.example:80", "https://app.example:80"), ("http://LOCALHOST:3000", "http://localhost:3000"),
            ("http://localhost:80", "http://localhost"), ("http://127.0.0.1:443", "http://127.0.0.1:443"),
            ("http://127.1:3000", "http://127.0.0.1:3000"), ("http://0x7f.0.0.1", "http://127.0.0.1"),
            ("http://2130706433", "http://127.0.0.1"), ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
            ("https://[2001:DB8:0:0:1::1]", "https://[2001:db8::1:0:0:1]"),
            ("https://[2001:db8::0:1]", "https://[2001:db8::1]"),
            ("https://[::ffff:192.0.2.1]", "https://[::ffff:c000:201]"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
            ("https://B\u{dc}CHER.example", "https://xn--bcher-kva.example"),
            ("https://bu\u{308}cher.example", "https://xn--bcher-kva.example"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("https://a_b.example", "https://a_b.example"), ("https://app.example.", "https://app.example."),
        ]
    )
    func canonical(said: String, origin: String) throws {
        #expect(try Origin.parse(said, .corsOrigins, plain: false) == origin)
    }

    @Test(
        "what is no origin is refused",
        arguments: [
            "", "*", "null", "app.example", "https://", "https:///", "ftp://app.example", "https://app.example/path",
            "https://app.example?q", "https://app.example#f", "https://user@app.example", "https://app.example:0",
            "https://app.example:65536", "https://app.example:x", "https://a b.example", "https://a%2Fb.example",
            "https://256.0.0.1", "https://1.2.3.4.5", "https://[::1", "https://[1.2.3.4]", "http://app.example",
            "http://127.0.0.1.example", "http://localhost.example", "http://128.0.0.1",
        ]
    )
    func refused(said: String) {
        #expect(throws: ConfigurationError.self) { try Origin.parse(said, .corsOrigins, plain: false) }
    }

    @Test("an issuer stays what it is, since verifiers compare it character by character")
    func issuer() async throws {
        let environment = ["TESSERA_PUBLIC_URL": "https://Auth.Example:443/"]
        let settings = try Settings(try await SettingsReader(flags: [:], environment: environment, file: nil))
        #expect(settings.publicURL == "https://auth.example")
        #expect(settings.issuer == "https://Auth.Example:443")
    }
}
