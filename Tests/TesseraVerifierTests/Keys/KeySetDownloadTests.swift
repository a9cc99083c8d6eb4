// Over a real socket, with real headers, status codes and sizes.
import AsyncHTTPClient
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import TesseraVerifier

@Suite("Keys over HTTP: what is sent and read")
struct KeySetDownloadTests {
    private func withServer(
        _ respond: @escaping @Sendable (Request) -> Response,
        _ body: @escaping @Sendable (_ url: String) async throws -> Void
    ) async throws {
        let router = Router()
        router.get("jwks.json") { request, _ in respond(request) }
        router.get("moved.json") { _, _ in Response.redirect(to: "/jwks.json") }
        var logger = Logger(label: "test.jwks")
        logger.logLevel = .critical
        let application = Application(
            router: router,
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            logger: logger
        )
        try await application.test(.live) { client in
            let port = try #require(client.port)
            try await body("http://127.0.0.1:\(port)")
        }
    }

    private func source(
        _ url: String,
        client: HTTPClient? = nil,
        pace: KeyRefreshPace = KeyRefreshPace()
    ) -> RemoteKeySource {
        var logger = Logger(label: "test.keys")
        logger.logLevel = .critical
        return RemoteKeySource(url: url, client: client, pace: pace, logger: logger)
    }

    private static func response(_ bytes: [UInt8], _ headers: HTTPFields = [:]) -> Response {
        Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    @Test("a set is fetched, then asked for by its tag, and refreshed before max-age has passed")
    func conditional() async throws {
        let issuer = try TestIssuer()
        let bytes = try document(of: [issuer])
        let tags = Mutex<[String?]>([])
        try await withServer { request in
            let tag = request.headers[.ifNoneMatch]
            tags.withLock { $0.append(tag) }
            let headers: HTTPFields = [.eTag: "\"v1\"", .cacheControl: "public, max-age=0"]
            return tag == "\"v1\"" ? Response(status: .notModified, headers: headers) : Self.response(bytes, headers)
        } _: { url in
            var pace = KeyRefreshPace()
            pace.minInterval = .milliseconds(5)
            let source = self.source(url + "/jwks.json", pace: pace)
            let service = Task { try await source.run() }
            try await eventually("it was asked three times") { tags.withLock(\.count) >= 3 }
            service.cancel()
            try await service.value
            #expect(source.snapshot().keyIDs == [issuer.kid])
            #expect(tags.withLock { $0.prefix(3) } == [nil, "\"v1\"", "\"v1\""])
        }
    }

    @Test("a failure, a redirect and a body over 1 MiB are refused, and the keys at hand stay")
    func refusals() async throws {
        let issuer = try TestIssuer()
        let bytes = try document(of: [issuer])
        let answer = Mutex<HTTPResponse.Status>(.ok)
        let padding = Mutex(0)
        try await withServer { _ in
            let body = bytes + [UInt8](repeating: 0x20, count: padding.withLock { $0 })
            var response = Self.response(body)
            response.status = answer.withLock { $0 }
            return response
        } _: { url in
            var pace = KeyRefreshPace()
            pace.unknownKeyInterval = .zero
            pace.timeout = .seconds(60)
            let source = self.source(url + "/jwks.json", pace: pace)
            func fails() async {
                await #expect(throws: VerificationError(.keysUnavailable)) {
                    try await source.refresh(afterUnknownKeyID: "any")
                }
            }
            // The largest accepted size.
            padding.withLock { $0 = (1 << 20) - bytes.count }
            try await source.refresh(afterUnknownKeyID: "any")
            padding.withLock { $0 += 1 }
            await fails()
            padding.withLock { $0 = 0 }
            for status in [HTTPResponse.Status.internalServerError, .notFound, .noContent, .notModified] {
                answer.withLock { $0 = status }
                await fails()
            }
            #expect(source.snapshot().keyIDs == [issuer.kid])

            answer.withLock { $0 = .ok }
            // Neither our client, which follows no redirect, nor one that does.
            for client in [nil, HTTPClient.shared] {
                let moved = self.source(url + "/moved.json", client: client)
                await #expect(throws: VerificationError(.keysUnavailable)) {
                    try await moved.refresh(afterUnknownKeyID: "any")
                }
                #expect(moved.snapshot().isEmpty)
            }
        }
    }

    @Test(
        "an address where nobody listens, or that is none, is 'cannot tell'",
        arguments: ["http://127.0.0.1:1/", "nonsense", ""]
    )
    func unreachable(_ url: String) async throws {
        let source = source(url)
        await #expect(throws: VerificationError(.keysUnavailable)) {
            try await source.refresh(afterUnknownKeyID: "any")
        }
    }

    @Test(
        "an answer's lifetime is its max-age less its age",
        arguments: [
            (["public", "max-age=300"], nil, 300), (["Max-Age=\"60\""], nil, 60), (["max-age=300"], "100", 200),
            (["max-age=300"], "400", 0), (["max-age=300"], "-5", 300), (["max-age=300"], "soon", 300),
            (["no-store", "max-age=300"], nil, 0), (["no-cache"], nil, 0), (["max-age=-1"], nil, nil),
            (["max-age=much"], nil, nil), (["s-maxage=5"], nil, nil), ([], "7", nil),
            (["max-age=9223372036854775807"], "1", 9_223_372_036_854_775_806),
        ] as [([String], String?, Int64?)]
    )
    func lifetimes(_ directives: [String], _ age: String?, _ seconds: Int64?) {
        let lifetime = KeySetDownload.lifetime(cacheControl: directives, age: age)
        #expect(lifetime?.components.seconds == seconds)
    }

    @Test("the next fetch is due before the answer is stale, within the bounds")
    func intervals() {
        let pace = KeyRefreshPace()
        for _ in 0..<100 {
            #expect((.seconds(210)...(.seconds(240))).contains(pace.interval(forLifetime: .seconds(300))))
            #expect((.seconds(210)...(.seconds(240))).contains(pace.interval(forLifetime: nil)))
        }
        #expect(pace.interval(forLifetime: .zero) == .seconds(10))
        #expect(pace.interval(forLifetime: .seconds(Int64.max)) == .seconds(3600))
        #expect(
            (1...6).map { pace.interval(afterFailures: $0) }
                == [.milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2), .seconds(4), .seconds(5)]
        )
        #expect(pace.interval(afterFailures: .max) == .seconds(5))
    }
}
