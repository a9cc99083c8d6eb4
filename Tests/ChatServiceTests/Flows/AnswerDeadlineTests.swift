// A client that does not read its answer must not keep it in memory for ever.
import Hummingbird
import HummingbirdTesting
import NIOCore
import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite("An answer that is not taken")
struct AnswerDeadlineTests {
    /// Serves an answer of 16 MiB; `isOver` returns whether the server has released it.
    private static func withLargeAnswer(
        _ limit: TimeAmount,
        share: Int = 1 << 20,
        _ body: @Sendable @escaping (_ port: Int, _ isOver: @Sendable @escaping () -> Bool) async throws -> Void
    ) async throws {
        let over = Atomic(false)
        let router = Router()
        router.get("large") { _, _ in
            Response(
                status: .ok,
                body: ResponseBody { writer in
                    defer { over.store(true, ordering: .relaxed) }
                    for _ in 0..<2 { try await writer.write(ByteBuffer(repeating: 0x61, count: 8 << 20)) }
                    try await writer.finish(nil)
                }
            )
        }
        let application = Application(
            router: router,
            server: .http1(
                configuration: .init(additionalChannelHandlers: [AnswerDeadlineHandler(limit: limit, share: share)])
            ),
            configuration: .init(address: .hostname("127.0.0.1", port: 0))
        )
        try await application.test(.live) { client in
            try await body(try #require(client.port)) { over.load(ordering: .relaxed) }
        }
    }

    @Test("is dropped with its connection when nobody reads it")
    func dropped() async throws {
        try await Self.withLargeAnswer(.milliseconds(200)) { port, isOver in
            let connection = try RawConnection(port: port)
            try connection.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually("the server gave the answer up") { isOver() }
            // At most the bytes in flight.
            let received = try await connection.receiveUntilClosed(within: .seconds(20))
            #expect(received.utf8.count < 16 << 20)
        }
    }

    @Test("is sent whole to a slow client that takes its share in each span of time")
    func slow() async throws {
        try await Self.withLargeAnswer(.seconds(3), share: 64 << 10) { port, isOver in
            let connection = try RawConnection(port: port)
            try connection.send("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            // Longer than several intervals, whatever the kernel buffers on both sides.
            let received = try await connection.receiveUntilClosed(within: .seconds(120), bytesPerSecond: 3 << 19)
            #expect(received.utf8.count > 16 << 20)
            try await eventually("the server is done with it") { isOver() }
        }
    }

    @Test("is sent whole to a client that begins to read in time")
    func taken() async throws {
        try await Self.withLargeAnswer(.seconds(30)) { port, isOver in
            let connection = try RawConnection(port: port)
            try connection.send("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let received = try await connection.receiveUntilClosed(within: .seconds(60))
            #expect(received.utf8.count > 16 << 20)
            try await eventually("the server is done with it") { isOver() }
        }
    }
}
