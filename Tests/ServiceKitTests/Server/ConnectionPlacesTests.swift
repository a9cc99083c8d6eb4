// How many connections there may be, and what becomes of more.
import Hummingbird
import HummingbirdCore
import HummingbirdTesting
import Logging
import NIOCore
import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite("Places of connections")
struct ConnectionPlacesTests {
    private static let request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    private static let lastRequest = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    private static func withServer(
        _ change: (inout ConnectionLimits) -> Void,
        logged: LoggedLines = LoggedLines(),
        _ body: @Sendable @escaping (_ port: Int, ConnectionPlaces) async throws -> Void
    ) async throws {
        var limits = ConnectionLimits()
        change(&limits)
        let places = ConnectionPlaces(limits: limits, logger: Logger(label: "test") { _ in LineKeeper(lines: logged) })
        let handlers = places.handlers(service: "test")
        let router = Router()
        router.get("healthz") { _, _ in "ok" }
        router.get("large") { _, _ in
            Response(status: .ok, body: .init(byteBuffer: ByteBuffer(repeating: 0x61, count: 16 << 20)))
        }
        let application = Application(
            router: router,
            server: HTTPServerBuilder { responder in ServiceChannel(responder: responder, handlers: handlers) },
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in try? await places.guardAccepting(of: channel) }
        )
        try await application.test(.live) { client in
            // The client connects by itself, and keeps its connection.
            try await eventually("the client has its place") { places.count == 1 }
            try await body(try #require(client.port), places)
        }
    }

    private static func isServed(_ connection: RawConnection) async throws -> Bool {
        // One that was closed at once may be noticed by either.
        guard (try? connection.send(lastRequest)) != nil else { return false }
        return try await connection.receiveUntilClosed(within: .seconds(30)).hasSuffix("ok")
    }

    @Test("one network's beyond its share are closed, until others of it have gone")
    func network() async throws {
        try await Self.withServer {
            $0.connectionsPerNetwork = 4
        } _: { port, places in
            var held = try (0..<3).map { _ in try RawConnection(port: port) }
            try await eventually("they have their places") { places.count == 4 }
            #expect(try await !Self.isServed(RawConnection(port: port)))
            try await eventually("the fifth has gone") { places.count == 4 }
            held.removeLast()
            try await eventually("there is a place") { places.count == 3 }
            #expect(try await Self.isServed(RawConnection(port: port)))
            #expect(held.count == 2)
        }
    }

    @Test("a trusted proxy's count for the process alone")
    func proxies() async throws {
        try await Self.withServer {
            $0.connectionsPerNetwork = 1
            $0.trustedProxies = [IPNetwork("127.0.0.0/8")].compactMap(\.self)
        } _: { port, places in
            let held = try (0..<5).map { _ in try RawConnection(port: port) }
            try await eventually("they have their places") { places.count == 6 }
            #expect(try await Self.isServed(RawConnection(port: port)))
            #expect(held.count == 5)
        }
    }

    @Test("beyond the process's limit new ones wait until others have gone, and that is said once")
    func process() async throws {
        let logged = LoggedLines()
        try await Self.withServer({ $0.connections = 4 }, logged: logged) { port, places in
            var held = try (0..<3).map { _ in try RawConnection(port: port) }
            try await eventually("they have their places") { places.count == 4 }
            for _ in 0..<3 {
                // The kernel takes it, and its request waits there.
                let waiting = try RawConnection(port: port)
                try waiting.send(Self.lastRequest)
                #expect(places.count <= 5)
                held.removeFirst()
                #expect(try await waiting.receiveUntilClosed(within: .seconds(30)).hasSuffix("ok"))
                held.append(try RawConnection(port: port))
                try await eventually("all places are taken") { places.count >= 4 }
            }
            #expect(held.count == 3)
        }
        #expect(logged.all.count { $0.contains("accepting connections pauses") } == 1, "\(logged.all)")
    }

    @Test("an answer that is read slowly and steadily is not cut off when the next request is due")
    func slowReader() async throws {
        try await Self.withServer {
            $0.requestTimeout = .milliseconds(300)
            $0.writeTimeout = .seconds(30)
        } _: { port, _ in
            let connection = try RawConnection(port: port)
            try connection.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            // Several times the request's time, whatever the kernel holds for both sides.
            let answer = try await connection.receiveUntilClosed(within: .seconds(120), bytesPerSecond: 8 << 20)
            #expect(answer.utf8.count > 16 << 20)
        }
    }
}

/// What was logged.
final class LoggedLines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
}

private struct LineKeeper: LogHandler {
    let lines: LoggedLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add("\(event.message)") }
}
