// One request of a connection at a time, whatever a client sends at once.
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTesting
import Logging
import NIOCore
import NIOHTTPTypes
import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite("Requests of one connection")
struct RequestGateTests {
    /// What a server has seen.
    private final class Seen: Sendable {
        let heads = Atomic(0)
        let open = Atomic(0)
    }

    /// Counts what comes through the gate.
    private final class HeadCounter: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = HTTPRequestPart
        private let seen: Seen

        init(_ seen: Seen) { self.seen = seen }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if case .head = unwrapInboundIn(data) { seen.heads.add(1, ordering: .relaxed) }
            context.fireChannelRead(data)
        }
    }

    /// Serves `/echo`, which answers with the body, and `/large`, whose answer is 1 MiB.
    private static func withServer(
        limits: ConnectionLimits = ConnectionLimits(),
        _ body: @Sendable @escaping (_ port: Int, Seen) async throws -> Void
    ) async throws {
        let seen = Seen()
        let router = Router()
        router.on("echo", method: .post) { request, _ in
            let bytes = try await request.body.collect(upTo: 1 << 20)
            return Response(status: .ok, body: .init(byteBuffer: bytes))
        }
        let large = ByteBuffer(repeating: 0x61, count: 1 << 20)
        router.get("large") { _, _ in Response(status: .ok, body: .init(byteBuffer: large)) }
        router.get("slow") { _, _ in
            while seen.open.load(ordering: .relaxed) == 0 { try await Task.sleep(for: .milliseconds(1)) }
            return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "slow")))
        }
        let places = ConnectionPlaces(limits: limits, logger: Logger(label: "test"))
        let handlers = places.handlers(service: "test")
        let application = Application(
            router: router,
            server: HTTPServerBuilder { responder in
                ServiceChannel(responder: responder) { handlers() + [HeadCounter(seen)] }
            },
            configuration: .init(address: .hostname("127.0.0.1", port: 0))
        )
        try await application.test(.live) { client in
            try await body(try #require(client.port), seen)
        }
    }

    @Test("the next one is parsed when the one before is answered")
    func oneAtATime() async throws {
        try await Self.withServer { port, seen in
            let connection = try RawConnection(port: port)
            try connection.send(String(repeating: "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", count: 2000))
            try await eventually("the first is there") { seen.heads.load(ordering: .relaxed) == 1 }
            // What comes on another connection is served meanwhile, so that all of this one's bytes have been read.
            let other = try RawConnection(port: port)
            try other.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
            #expect(try await other.receiveUntilClosed(within: .seconds(30)).hasSuffix("hi"))
            #expect(seen.heads.load(ordering: .relaxed) == 2)
            seen.open.store(1, ordering: .relaxed)
            connection.finishSending()
            let answers = try await connection.receiveUntilClosed(within: .seconds(60))
            #expect(answers.split(separator: "HTTP/1.1 200 OK").count == 2000)
        }
    }

    @Test("a client that takes no answer is read from no more, and is dropped")
    func notTaken() async throws {
        var limits = ConnectionLimits()
        limits.writeTimeout = .milliseconds(500)
        try await Self.withServer(limits: limits) { port, seen in
            let connection = try RawConnection(port: port, receiveBuffer: 4096)
            let requests = Array(String(repeating: "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", count: 1000).utf8)
            var left = requests[...]
            try await eventually("the server has dropped it") {
                guard let count = connection.sendNow(left) else { return true }
                left = left.dropFirst(count)
                if left.isEmpty { left = requests[...] }
                return false
            }
            // The answers to some are in the buffers of the two sockets.
            #expect(seen.heads.load(ordering: .relaxed) < 50)
        }
    }

    @Test("what breaks a rule behind a request is refused after its answer, and nothing behind it is served")
    func refusal() async throws {
        try await Self.withServer { port, seen in
            seen.open.store(1, ordering: .relaxed)
            let connection = try RawConnection(port: port)
            let request = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
            try connection.send("\(request)GET /slow HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n\(request)")
            let answers = try await connection.receiveUntilClosed(within: .seconds(30))
            #expect(answers.split(separator: "HTTP/1.1 ").map { $0.prefix(3) } == ["200", "400"], "\(answers)")
            #expect(seen.heads.load(ordering: .relaxed) == 1)
        }
    }

    @Test("bodies and what follows them mean the same, wherever the bytes are cut", arguments: [1, 3, 7, 64, 100_000])
    func pieces(size: Int) async throws {
        try await Self.withServer { port, _ in
            let bodies = ["", "one", "two\r\n\r\nPOST /echo HTTP/1.1\r\n\r\n", "\n\n\r\n\r\n", "last"]
            var bytes: [UInt8] = []
            for (index, body) in bodies.enumerated() {
                let head = "POST /echo HTTP/1.1\r\nHost: x\r\n"
                if index.isMultiple(of: 2) {
                    bytes += Array("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
                } else {
                    let chunks = body.utf8.map { "1\r\n\(Character(UnicodeScalar($0)))\r\n" }.joined()
                    bytes += Array(
                        "\r\n\(head)Transfer-Encoding: chunked\r\n\r\n\(chunks)0\r\nX-Trailer: x\r\n\r\n".utf8
                    )
                }
            }
            let connection = try RawConnection(port: port)
            for start in stride(from: 0, to: bytes.count, by: size) {
                try connection.send(String(decoding: bytes[start..<min(start + size, bytes.count)], as: UTF8.self))
                await Task.yield()
            }
            connection.finishSending()
            let answers = try await connection.receiveUntilClosed(within: .seconds(60))
            let echoed = answers.components(separatedBy: "HTTP/1.1 200 OK").dropFirst()
                .map { $0.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false).last ?? "" }
            #expect(echoed.map(String.init) == bodies)
        }
    }
}
