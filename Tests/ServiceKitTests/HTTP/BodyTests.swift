// What a body is refused for, and when.
import HTTPTypes
import Hummingbird
import NIOCore
import OpenSSLCrypto
import Testing

@testable import ServiceKit

@Suite("Bodies")
struct BodyTests {
    /// The code that a JSON body of these bytes is refused with; `nil` when it is taken.
    private static func code(_ body: String, _ fields: HTTPFields = [.contentType: "application/json"]) async
        -> ErrorCode?
    {
        await code(RequestBody(buffer: ByteBuffer(string: body)), fields)
    }

    private static func code(_ body: RequestBody, _ fields: HTTPFields) async -> ErrorCode? {
        let head = HTTPRequest(method: .post, scheme: "http", authority: "x", path: "/", headerFields: fields)
        do {
            _ = try await Request(head: head, body: body).jsonElement(limit: 1000)
            return nil
        } catch {
            return (error as? APIError)?.code
        }
    }

    @Test("JSON that is not taken is told apart from what is none")
    func json() async {
        let nested = String(repeating: "[", count: 80) + String(repeating: "]", count: 80)
        for (body, expected) in [
            (#"{"title":"a"}"#, nil), (#"{"a":"\u0000"}"#, .jsonNUL), (#"{"\u0000":1}"#, .jsonNUL),
            (#"["a\u0000b"]"#, .jsonNUL), (#"{"a":1,"a":2}"#, .jsonDuplicateName),
            (#"{"a":1,"\u0061":2}"#, .jsonDuplicateName),
            (#"{"x":{"a":1,"b":2,"a":3}}"#, .jsonDuplicateName), (nested, .jsonTooDeep),
            (#"{"metadata":\#(nested)}"#, .jsonTooDeep), (#"{"a":"\ud800"}"#, .jsonLoneSurrogate),
            (#"{"a":"\udc00\ud800"}"#, .jsonLoneSurrogate), (#"{"a":1"#, .invalidJSON), (#"{"a":"#, .invalidJSON),
            ("{\"a\":\"\u{0}\"}", .invalidJSON), (#"{"a":01}"#, .invalidJSON), ("nonsense", .invalidJSON),
            (#"{} {}"#, .invalidJSON), ("\u{FEFF}{}", .invalidJSON), ("", .bodyMissing),
        ] as [(String, ErrorCode?)] {
            #expect(await Self.code(body) == expected, "\(body.prefix(40))")
        }
    }

    @Test("a packed body is unpacked before it is read")
    func packed() async {
        let gzip: HTTPFields = [.contentType: "application/json", .contentEncoding: "gzip"]
        #expect(await Self.code("{}", gzip) == .badRequest)
        #expect(
            await Self.code("{}", [.contentType: "application/json", .contentEncoding: "br"])
                == .unsupportedContentEncoding
        )
    }

    @Test("a packed body counts as it is sent and as it is unpacked, and until then as much as it may become")
    func counted() async throws {
        // `{"title":"t"}`, packed by Python's gzip.
        let packed = try #require(
            Hex.decode("1f8b0800000000000203ab562ac92cc94955b2522a51aa0500e462ff470d000000")
        )
        let plain = Array(#"{"title":"t"}"#.utf8)
        let fields: HTTPFields = [.contentEncoding: "gzip", .contentLength: "\(packed.count)"]
        let head = HTTPRequest(method: .post, scheme: "http", authority: "x", path: "/", headerFields: fields)
        let budget = MemoryBudget(bytes: 10_000, maxWait: .milliseconds(1))
        func taken() async throws -> Int {
            let scope = RequestScope(budget: budget, network: "192.0.2.1")
            return try await RequestScope.$current.withValue(scope) {
                let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: packed)))
                let bytes = try await request.bodyBytes(limit: 1000)
                #expect(bytes == plain)
                return scope.taken
            }
        }
        let count = 4 * packed.count + 4 * plain.count
        #expect(try await taken() == count)
        #expect(budget.taken == 0)
        // The 4,000 bytes for a body of 1,000 are not there.
        #expect(budget.takeNow(6000, for: "another"))
        await #expect(throws: MemoryExhausted()) { try await taken() }
        #expect(budget.taken == 6000)
        budget.giveBack(1000, of: "another")
        #expect(try await taken() == count)
    }

    /// A body that must not be read.
    private struct Unread: AsyncSequence, Sendable {
        struct Iterator: AsyncIteratorProtocol {
            mutating func next() async throws -> ByteBuffer? {
                Issue.record("the body was read")
                return nil
            }
        }

        func makeAsyncIterator() -> Iterator { Iterator() }
    }

    @Test("what the head says is enough to refuse a body by")
    func unread() async {
        let json: HTTPField.Name = .contentType
        for (fields, expected) in [
            ([json: "text/plain", .contentLength: "2"], .unsupportedMediaType),
            ([.contentLength: "2"], .unsupportedMediaType),
            ([json: "text/json", .transferEncoding: "chunked", .expect: "100-continue"], .unsupportedMediaType),
            ([json: "application/json", .contentLength: "1001"], .bodyTooLarge),
            ([json: "application/json", .contentLength: "2", .contentEncoding: "br"], .unsupportedContentEncoding),
        ] as [(HTTPFields, ErrorCode)] {
            #expect(await Self.code(RequestBody(asyncSequence: Unread()), fields) == expected, "\(fields)")
        }
    }

    @Test("chunks that are none are no body, and others need their type")
    func chunks() async throws {
        let fields: HTTPFields = [.contentType: "text/plain", .transferEncoding: "chunked"]
        let head = HTTPRequest(method: .post, scheme: "http", authority: "x", path: "/", headerFields: fields)
        let empty = Request(head: head, body: RequestBody(buffer: ByteBuffer()))
        #expect(try await empty.optionalJSONElement(limit: 10) == nil)
        #expect(await Self.code("", fields) == .bodyMissing)
        #expect(await Self.code("{}", fields) == .unsupportedMediaType)
    }
}
