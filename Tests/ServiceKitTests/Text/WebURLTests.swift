import ServiceKit
import Testing

@Suite("URLs")
struct WebURLTests {
    @Test(
        "an absolute URL of the allowed schemes is taken as it is written",
        arguments: [
            "https://example.com", "https://example.com/", "HTTPS://Example.COM:8443/a/b.png?c=d&e=%20#f",
            "https://[2001:db8::1]:443/a", "https://192.0.2.1/", "https://xn--bcher-kva.example/%C3%A9",
            "https://example.com?x=@", "https://example.com/a@b:c", "http://example.com/a",
        ]
    )
    func taken(text: String) throws {
        let url = try #require(WebURL(RequestText(text), schemes: [.https, .http]))
        #expect(url.text == RequestText(text))
        #expect((WebURL(RequestText(text)) != nil) == text.lowercased().hasPrefix("https"))
    }

    @Test(
        "anything else is none",
        arguments: [
            "", "https", "https:", "https:/", "https://", "https:///a", "https://:443", "//example.com", "example.com",
            "javascript:alert(1)", "data:,", "ftp://example.com", "ws://example.com", "https:example.com",
            "https://user@example.com", "https://user:password@example.com", "https://@example.com",
            "https://example.com\\@evil.test", "https://exa mple.com", " https://example.com", "https://example.com ",
            "https://example.com/\n", "https://example.com/\u{0}", "https://example.com/\u{7F}",
            "https://example.com/%0A", "https://example.com/%7f", "https://example.com/%0", "https://example.com/%zz",
            "https://example.com/<b>", "https://example.com/\"", "https://example.com/é", "https://bücher.example",
            "https://example.com:0", "https://example.com:65536", "https://example.com:", "https://example.com:-1",
            "https://[::1", "https://[::1]x", "https://[::1]:", "https://[g::1]", "https://a]b", "https://a[b",
            "java\tscript:alert(1)", "https\u{FF1A}//example.com",
        ]
    )
    func refused(text: String) {
        #expect(WebURL(RequestText(text), schemes: [.https, .http]) == nil)
    }

    @Test("its parts are found")
    func parts() throws {
        let url = try #require(WebURL("https://[::1]:8443/a"))
        #expect(url.scheme == .https && url.host == "[::1]" && url.port == 8443 && !url.isOrigin)
        let origin = try #require(WebURL("https://example.com"))
        #expect(origin.host == "example.com" && origin.port == nil && origin.isOrigin)
    }
}
