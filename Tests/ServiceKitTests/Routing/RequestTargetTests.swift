// A request's target is taken apart in one place, and in one way.
import HTTPTypes
import Testing

@testable import ServiceKit

@Suite("Request targets")
struct RequestTargetTests {
    @Test(
        "a path is written in one way, whatever way it came",
        arguments: [
            ("/", "/"), ("/v1/me", "/v1/me"), ("/v1/me?x=1", "/v1/me"), ("/v1/%6De", "/v1/me"),
            ("/v1/a%3Ab", "/v1/a:b"),
            ("/v1/a:b", "/v1/a:b"), ("/v1/a%2Fb", "/v1/a%2Fb"), ("/v1/a%2fb", "/v1/a%2Fb"), ("/v1/%25", "/v1/%25"),
            ("/v1/%2525", "/v1/%2525"), ("/v1/a+b", "/v1/a+b"), ("/v1/a%2Bb", "/v1/a+b"), ("/v1/a%20b", "/v1/a%20b"),
            ("/v1/%C3%BC", "/v1/%C3%BC"), ("/v1/ü", "/v1/%C3%BC"), ("/v1/%c3%bc", "/v1/%C3%BC"),
            ("/v1/a%3Fb%23c", "/v1/a%3Fb%23c"), ("/v1/...", "/v1/..."), ("/v1/.a", "/v1/.a"), ("/v1/a..", "/v1/a.."),
            ("/v1/%252e%252e", "/v1/%252e%252e"), ("/v1/..a%2Fb..", "/v1/..a%2Fb.."), ("/v1/a%5Cb", "/v1/a%5Cb"),
            ("/v1/%EF%BF%BD", "/v1/%EF%BF%BD"), ("/v1/x{y}|\"<>^`", "/v1/x%7By%7D%7C%22%3C%3E%5E%60"),
            ("/v1/~!$&'()*,;=:@-._", "/v1/~!$&'()*,;=:@-._"), ("http://host/v1/me", "/v1/me"),
            ("HTTP://host:80/v1/me?x", "/v1/me"), ("https://host", "/"), ("https://host?x=/v1/me", "/"),
            ("/?v1/me", "/"), ("/v1/%f0%9f%8e%84", "/v1/%F0%9F%8E%84"), ("/v1/a;b=c", "/v1/a;b=c"),
        ]
    )
    func canonical(target: String, path: String) {
        let read = RequestTarget(target)
        #expect(read.path == path)
        #expect(read.refusal == nil)
    }

    @Test(
        "an empty segment leads nowhere",
        arguments: [
            "//", "/v1/", "/v1//me", "//v1/me", "/v1/me/", "/v1/conversations/?permanent=true", "//host/v1/me",
            "http://host//v1/me", "/v1/conversations//messages",
        ]
    )
    func empty(target: String) {
        let read = RequestTarget(target)
        #expect(read.path == "/" && read.refusal == nil)
    }

    @Test(
        "a dot segment is refused in every spelling",
        arguments: [
            "/.", "/..", "/v1/./me", "/v1/../me", "/v1/tags/..", "/v1/tags/.", "/v1/tags/%2e", "/v1/tags/%2E%2E",
            "/v1/tags/.%2e", "/v1/tags/%2e.", "/v1/tags/%2e%2E/x", "/v1/tags/../", "/v1/%2e%2e/%2e%2e/etc",
            "/v1/tags/..%2F", "/v1/tags/..%2f..", "/v1/tags/a%2F.%2Fb", "/v1/tags/%2F..", "/v1/tags/..%5Ca",
            "http://host/../v1", "/v1/tags/..?x=1", "/v1/tags/%2E?x",
        ]
    )
    func dots(target: String) {
        let read = RequestTarget(target)
        #expect(read.refusal?.code == .badRequest)
        #expect(read.refusal?.detail?.contains("dot segment") == true)
        #expect(read.path == "/")
    }

    @Test(
        "what two readers could read in two ways is refused",
        arguments: [
            "", "v1/me", "*", "host:443", "ftp://host/v1", "/v1/%", "/v1/%4", "/v1/%zz", "/v1/%4g", "/v1/a%",
            "/v1/%%34",
            "/v1/%u0041", "/v1/%C3", "/v1/%FF", "/v1/%C0%AF", "/v1/%ED%A0%80", "/v1/%F5%80%80%80", "/v1/%00",
            "/v1/a%00b",
            "/v1\\me", "/v1/a\\..\\b", "/v1/me#top", "/v1/a b", "/v1/a\tb", "/v1/a\u{7F}", "/v1/\u{FFFD}",
        ]
    )
    func malformed(target: String) {
        let read = RequestTarget(target)
        #expect(read.refusal?.code == .badRequest)
        #expect(read.path == "/")
    }

    @Test("what is below another server's path is that server's, and is not read")
    func opaque() {
        func read(_ target: String) -> RequestTarget { RequestTarget(target, opaque: ["/v1/validate/"]) }
        for target in [
            "app", "app/", "app//x", "", "a%FFb", "a%00b", "caf%E9", "app?q=100%", "a%2F..%2Fb", "..", "a/../b",
            "%2e%2e/x",
            ".", "a%zz", "a%", "a\\b", "a#b", "../../v1/me", "\u{FFFD}", "/..//",
        ] {
            let seen = read("/v1/validate/\(target)")
            #expect(seen.path == "/v1/validate/-" && seen.refusal == nil, "\(target)")
        }
        #expect(read("/v1/validate").path == "/v1/validate")
        #expect(read("/v1/validated/").path == "/")
        #expect(read("/v1/./validate/x").refusal != nil)
        #expect(read("/v1/validate%2F..").refusal != nil)
        #expect(read("/v1/x/../validate/x").refusal != nil)
        #expect(read("http://host/v1/validate/..").path == "/v1/validate/-")
    }

    @Test("a path finds its route by its segments, and a parameter holds what was meant")
    func methods() {
        let table = RouteTable()
        table.add(Route(method: .get, path: "/v1/tags/:name", query: .none))
        table.add(Route(method: .delete, path: "/v1/tags/:name", query: .none))
        table.add(Route(method: .post, path: "/v1/tags/all", query: .none))
        #expect(table.methods(for: "/v1/tags/a%2Fb") == ["DELETE", "GET"])
        #expect(table.methods(for: "/v1/tags/all") == ["POST"], "a literal goes before a parameter")
        #expect(table.methods(for: "/v1/tags").isEmpty)
        #expect(table.methods(for: "/").isEmpty)
        #expect(RouteTable.join("v1", "tags/:name") == "/v1/tags/:name")
        #expect(RouteTable.join("", "") == "/")
    }
}
