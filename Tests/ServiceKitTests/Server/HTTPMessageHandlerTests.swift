// The rules of HTTP/1.1, on a connection that is no socket.
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import Testing

@testable import ServiceKit

@Suite("Messages of HTTP/1.1")
struct HTTPMessageHandlerTests {
    /// A connection whose requests are seen, and answered by the test.
    private final class Connection {
        let channel = EmbeddedChannel()

        init() throws {
            var encoding = HTTPResponseEncoder.Configuration()
            encoding.automaticallySetFramingHeaders = false
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false,
                withErrorHandling: false,
                withOutboundHeaderValidation: false,
                withEncoderConfiguration: encoding
            )
            try pipeline.addHandler(HTTPMessageHandler())
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
        }

        /// Sends bytes. A parse error that is passed on is the one of a body.
        @discardableResult
        func send(_ text: String) -> Bool {
            do {
                try channel.writeInbound(ByteBuffer(string: text))
                return true
            } catch {
                return false
            }
        }

        /// The parts that were passed on: `METHOD target`, `body text`, `end`.
        func received() throws -> [String] {
            var parts: [String] = []
            while let part = try channel.readInbound(as: HTTPRequestPart.self) {
                switch part {
                case .head(let head): parts.append("\(head.method) \(head.path ?? "")")
                case .body(let body): parts.append("body \(String(buffer: body))")
                case .end: parts.append("end")
                }
            }
            return parts
        }

        func answer(_ status: HTTPResponse.Status = .ok, _ fields: HTTPFields = [:], body: String? = nil) {
            channel.write(HTTPResponsePart.head(HTTPResponse(status: status, headerFields: fields)), promise: nil)
            if let body { channel.write(HTTPResponsePart.body(ByteBuffer(string: body)), promise: nil) }
            channel.writeAndFlush(HTTPResponsePart.end(nil), promise: nil)
        }

        func goOn() {
            channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)), promise: nil)
        }

        func sent() throws -> String {
            var text = ""
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
            return text
        }

        var isOpen: Bool { channel.isActive }
    }

    private static let start = "HTTP/1.1\r\nHost: a.example\r\n"

    // MARK: Requests

    @Test(
        "a request without one good Host is none, and the connection ends",
        arguments: [
            "", "Host: a.example\r\nHost: b.example\r\n", "Host: a.example\r\nhost: a.example\r\n", "Host:\r\n",
            "Host: \r\n",
            "Host: a.example, b.example\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: user@a.example\r\n",
            "Host: ü\r\n",
            "Host: a.example?x\r\n",
        ]
    )
    func host(fields: String) throws {
        let connection = try Connection()
        connection.send("GET /healthz HTTP/1.1\r\n\(fields)\r\n")
        #expect(try connection.received().isEmpty)
        let sent = try connection.sent()
        #expect(sent.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(sent)")
        #expect(sent.lowercased().contains("connection: close\r\n"))
        #expect(sent.contains("application/problem+json") && sent.contains("\"code\":\"bad_request\""))
        #expect(!connection.isOpen)
    }

    @Test("HTTP/1.0 needs no Host, and takes one", arguments: ["", "Host: a.example\r\n", "Host: [::1]:80\r\n"])
    func oldHost(fields: String) throws {
        let connection = try Connection()
        connection.send("GET /healthz HTTP/1.0\r\n\(fields)\r\n")
        #expect(try connection.received() == ["GET /healthz", "end"])
        connection.send("")
        let twice = try Connection()
        twice.send("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")
        #expect(try twice.sent().hasPrefix("HTTP/1.1 400 "))
    }

    @Test(
        "a transfer coding that is not understood is 501, and bad framing 400",
        arguments: [
            ("Transfer-Encoding: gzip, chunked", 501), ("Transfer-Encoding: x-unknown, chunked", 501),
            ("Transfer-Encoding: identity, chunked", 501), ("Transfer-Encoding: chunked, chunked", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: chunked\r\nContent-Length: 3", 400), ("Content-Length: 3\r\nContent-Length: 4", 400),
            ("Content-Length: x", 400), ("Content-Length: -1", 400), ("Content-Length: 3, 3", 400),
            ("Content-Length: 99999999999999999999", 400),
        ]
    )
    func framing(fields: String, status: Int) throws {
        let connection = try Connection()
        connection.send("POST /v1/x \(Self.start)\(fields)\r\n\r\n0\r\n\r\n")
        let sent = try connection.sent()
        #expect(sent.hasPrefix("HTTP/1.1 \(status) "), "\(fields): \(sent)")
        #expect(try connection.received().isEmpty)
        #expect(!connection.isOpen)
    }

    @Test("a coding that does not end in chunked is refused")
    func unfinishedCoding() throws {
        for coding in ["gzip", "chunked, gzip", "identity"] {
            let connection = try Connection()
            connection.send("POST /v1/x \(Self.start)Transfer-Encoding: \(coding)\r\n\r\n")
            let sent = try connection.sent()
            #expect(sent.hasPrefix("HTTP/1.1 501 ") || sent.hasPrefix("HTTP/1.1 400 "), "\(coding): \(sent)")
            #expect(!connection.isOpen)
        }
        let old = try Connection()
        old.send("POST /v1/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        #expect(try old.sent().hasPrefix("HTTP/1.1 400 "))
    }

    @Test("chunked is understood in any case, with extensions and trailers")
    func chunked() throws {
        let connection = try Connection()
        connection.send("POST /v1/x \(Self.start)Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-A: b\r\n\r\n")
        #expect(try connection.received() == ["POST /v1/x", "body abc", "end"])
    }

    @Test(
        "what is no HTTP is refused as what it is",
        arguments: [
            ("GET\r\n\r\n", 400), ("\u{1}\u{2}\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400), ("NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 90_000))\r\n\r\n", 431),
        ]
    )
    func garbage(text: String, status: Int) throws {
        let connection = try Connection()
        connection.send(text)
        let sent = try connection.sent()
        #expect(sent.hasPrefix("HTTP/1.1 \(status) "), "\(text.prefix(40)): \(sent)")
        #expect(!connection.isOpen)
    }

    @Test("malformed chunks are told to what reads the body, and its answer is the last")
    func malformedChunks() throws {
        let connection = try Connection()
        #expect(!connection.send("POST /v1/x \(Self.start)Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n"))
        #expect(try connection.received() == ["POST /v1/x"])
        connection.answer(.badRequest, [.contentLength: "0"])
        // What a server writes once it finds the error by itself.
        connection.answer(.badRequest, [.contentLength: "0", .connection: "close"])
        let sent = try connection.sent()
        #expect(sent.split(separator: "HTTP/1.1 ").count == 1, "\(sent)")
        #expect(sent.lowercased().contains("connection: close"))
        #expect(!connection.isOpen)
    }

    @Test("an answer that went out before the body broke is the only one")
    func answeredBefore() throws {
        let connection = try Connection()
        connection.send("POST /v1/x \(Self.start)Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        connection.answer(.unauthorized, [.contentLength: "0"])
        #expect(connection.isOpen)
        connection.send("ZZ\r\n")
        let sent = try connection.sent()
        #expect(sent.hasPrefix("HTTP/1.1 401 ") && sent.split(separator: "HTTP/1.1 ").count == 1, "\(sent)")
        #expect(!connection.isOpen)
    }

    @Test("a refusal waits for the answers that are owed before it")
    func order() throws {
        let connection = try Connection()
        connection.send(
            "GET /a \(Self.start)\r\nGET /b \(Self.start)\r\nGET /c HTTP/1.1\r\n\r\nGET /d \(Self.start)\r\n"
        )
        #expect(try connection.received() == ["GET /a", "end", "GET /b", "end"])
        connection.answer(.ok, [.contentLength: "1"], body: "a")
        #expect(try connection.sent().hasSuffix("\r\n\r\na"))
        connection.answer(.ok, [.contentLength: "1"], body: "b")
        let sent = try connection.sent()
        #expect(sent.contains("\r\n\r\nbHTTP/1.1 400 "), "\(sent)")
        #expect(!connection.isOpen)
    }

    @Test("nothing is read behind a request that is the last")
    func last() throws {
        for fields in ["Connection: close\r\n", "Connection: Close\r\n", "Upgrade: h2c\r\nConnection: Upgrade\r\n"] {
            let connection = try Connection()
            connection.send("GET /a \(Self.start)\(fields)\r\nGET /b \(Self.start)\r\n")
            #expect(try connection.received() == ["GET /a", "end"], "\(fields)")
            connection.answer(.ok, [.contentLength: "0"])
            #expect(try connection.sent().lowercased().contains("connection: close"), "\(fields)")
            #expect(!connection.isOpen)
        }
    }

    // MARK: Answers

    @Test("an answer without a length is chunked for HTTP/1.1, and ends the connection for HTTP/1.0")
    func versions() throws {
        let new = try Connection()
        new.send("GET /a \(Self.start)\r\n")
        new.answer(.ok, body: "abc")
        #expect(try new.sent().lowercased().hasSuffix("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
        #expect(new.isOpen)

        for fields in ["", "Connection: keep-alive\r\n"] {
            let old = try Connection()
            old.send("GET /a HTTP/1.0\r\n\(fields)\r\n")
            old.answer(.ok, body: "abc")
            let sent = try old.sent().lowercased()
            #expect(sent.hasSuffix("\r\n\r\nabc") && !sent.contains("chunked"), "\(sent)")
            #expect(sent.contains("connection: close"))
            #expect(!old.isOpen)
        }
    }

    @Test("HEAD has the head of GET and nothing behind it, whatever is written")
    func head() throws {
        let connection = try Connection()
        connection.send("HEAD /a \(Self.start)\r\nHEAD /b \(Self.start)\r\nGET /c \(Self.start)\r\n")
        connection.answer(.ok, [.contentLength: "3"], body: "abc")
        var sent = try connection.sent().lowercased()
        #expect(sent.contains("content-length: 3\r\n") && sent.hasSuffix("\r\n\r\n"))
        connection.answer(.ok, body: "abc")
        sent = try connection.sent().lowercased()
        #expect(!sent.contains("content-length") && !sent.contains("transfer-encoding"), "\(sent)")
        #expect(sent.hasSuffix("\r\n\r\n") && connection.isOpen)
        connection.answer(.ok, [.contentLength: "1"], body: "c")
        #expect(try connection.sent().hasSuffix("\r\n\r\nc"))
    }

    @Test("204 and 304 have neither body nor length")
    func bodiless() throws {
        for status in [HTTPResponse.Status.noContent, .notModified] {
            let connection = try Connection()
            connection.send("GET /a \(Self.start)\r\n")
            connection.answer(status, [.contentLength: "3"], body: "abc")
            let sent = try connection.sent().lowercased()
            #expect(
                sent.hasSuffix("\r\n\r\n") && !sent.contains("content-length") && !sent.contains("chunked"),
                "\(sent)"
            )
            #expect(connection.isOpen)
        }
    }

    // MARK: Expect

    @Test("a client that waits is told to go on, and its connection lives")
    func goOn() throws {
        let connection = try Connection()
        connection.send("POST /a \(Self.start)Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        connection.goOn()
        #expect(try connection.sent() == "HTTP/1.1 100 Continue\r\n\r\n")
        connection.send("abc")
        #expect(try connection.received() == ["POST /a", "body abc", "end"])
        connection.answer(.ok, [.contentLength: "0"])
        #expect(try !connection.sent().lowercased().contains("connection: close"))
        #expect(connection.isOpen)
    }

    @Test("a refusal before the body ends the connection, since the body may never come")
    func refusedBeforeBody() throws {
        let connection = try Connection()
        connection.send("POST /a \(Self.start)Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        connection.answer(.unauthorized, [.contentLength: "0"])
        let sent = try connection.sent().lowercased()
        #expect(sent.hasPrefix("http/1.1 401 ") && sent.contains("connection: close"), "\(sent)")
        #expect(!connection.isOpen)
    }

    @Test("a client that has begun to send is told nothing, and HTTP/1.0 never is")
    func notTold() throws {
        let begun = try Connection()
        begun.send("POST /a \(Self.start)Content-Length: 3\r\nExpect: 100-continue\r\n\r\na")
        begun.goOn()
        #expect(try begun.sent().isEmpty)
        let old = try Connection()
        old.send("POST /a HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        old.goOn()
        #expect(try old.sent().isEmpty)
    }
}
