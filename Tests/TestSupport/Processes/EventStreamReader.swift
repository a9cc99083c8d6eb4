// A simple reader of server-sent events: a socket, a thread, the text format. It records everything with its time, and
// can stop reading as a stuck consumer would.
internal import Foundation
internal import Glibc
internal import Synchronization

package final class EventStreamReader: Sendable {
    package struct Event: Sendable, Hashable {
        package var id = ""
        package var name = ""
        package var data = ""

        package var seq: Int64 { Int64(id.split(separator: ":").last ?? "") ?? -1 }
    }

    private struct State {
        var parser = Parser()
        var isClosed = false
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    /// Connects to 127.0.0.1:`port` and sends the request.
    ///
    /// - Parameters:
    ///   - port: of the service.
    ///   - path: with its query.
    ///   - token: of a service.
    ///   - lastEventID: the end of an earlier stream.
    ///   - reads: whether the answer is read; otherwise it fills the sockets' buffers.
    /// - Throws: why there is no connection.
    package init(
        port: Int,
        path: String = "/v1/events",
        token: String?,
        lastEventID: String? = nil,
        reads: Bool = true
    ) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw RawConnection.Failure(operation: "socket", code: errno) }
        if !reads {
            // The smallest window, so that a stuck reader is noticed after kilobytes, not megabytes.
            var size: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        let connected = withLoopbackAddress(port: UInt16(port)) { address, length in
            connect(descriptor, address, length)
        }
        guard connected == 0 else { throw RawConnection.Failure(operation: "connect", code: errno) }
        var head = """
            GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAccept: text/event-stream\r\n
            """
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        if let lastEventID { head += "Last-Event-ID: \(lastEventID)\r\n" }
        let bytes = Array((head + "\r\n").utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw RawConnection.Failure(operation: "send", code: errno)
        }
        if reads { resume() }
    }

    deinit {
        close(descriptor)
    }

    /// Reads on a thread that ends with the connection.
    package func resume() {
        let descriptor = descriptor
        Thread.detachNewThread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 16 * 1024)
            while true {
                // Wakes up now and then, so that a released reader ends its thread.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                let ready = poll(&waiting, 1, 100)
                guard let self else { return }
                if ready == 0 { continue }
                let count = recv(descriptor, &buffer, buffer.count, 0)
                // Another test's child may just have ended.
                if count < 0, errno == EINTR { continue }
                let now = ContinuousClock.now
                let isOver = self.state.withLock { state in
                    if count > 0 { state.parser.take(buffer[..<count], at: now) } else { state.isClosed = true }
                    return state.isClosed
                }
                if isOver { return }
            }
        }
    }

    package func cut() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    package var hasEnded: Bool { state.withLock { $0.isClosed || $0.parser.isComplete } }

    package var status: Int {
        Int(head.split(separator: " ", maxSplits: 2).dropFirst().first ?? "") ?? 0
    }

    package var head: String { state.withLock { $0.parser.head ?? "" } }

    /// Without the chunks' lengths; its first megabyte.
    package var body: String { state.withLock { String(decoding: $0.parser.body, as: UTF8.self) } }

    package var events: [Event] { state.withLock { $0.parser.events } }

    package var received: [Event] { events.filter { $0.name != "caught_up" } }

    package var isCaughtUp: Bool { state.withLock { $0.parser.events.contains { $0.name == "caught_up" } } }

    package func time(of index: Int) -> ContinuousClock.Instant { state.withLock { $0.parser.times[index] } }

    package var heartbeats: Int { state.withLock { $0.parser.heartbeats } }

    /// A consumer's `Last-Event-ID`.
    package var lastID: String? { state.withLock { $0.parser.lastID } }
}

/// Splits an answer into head, chunks (RFC 9112 §7.1, as far as our server uses it) and blocks of lines.
private struct Parser {
    var head: String?
    var body: [UInt8] = []
    var events: [EventStreamReader.Event] = []
    var times: [ContinuousClock.Instant] = []
    var heartbeats = 0
    var lastID: String?
    var isComplete = false
    private var isChunked = false
    /// Bytes of the connection that are not parsed yet, and of the body.
    private var raw: [UInt8] = []
    private var block: [UInt8] = []

    mutating func take(_ bytes: ArraySlice<UInt8>, at now: ContinuousClock.Instant) {
        raw += bytes
        if head == nil {
            guard let end = Self.position(of: "\r\n\r\n", in: raw, from: 0) else { return }
            let text = String(decoding: raw[..<end], as: UTF8.self)
            head = text
            isChunked = text.lowercased().contains("transfer-encoding: chunked")
            raw.removeFirst(end + 4)
        }
        guard isChunked else {
            add(raw[...], at: now)
            raw = []
            return
        }
        var start = 0
        while let end = Self.position(of: "\r\n", in: raw, from: start),
            let length = Int(String(decoding: raw[start..<end], as: UTF8.self), radix: 16),
            raw.count >= end + 2 + length + 2
        {
            if length == 0 { isComplete = true }
            add(raw[(end + 2)..<(end + 2 + length)], at: now)
            start = end + 2 + length + 2
        }
        raw.removeFirst(start)
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>, at now: ContinuousClock.Instant) {
        if body.count < 1 << 20 { body += bytes }
        block += bytes
        var start = 0
        // Bytes after the last blank line are not an event yet.
        while let end = Self.position(of: "\n\n", in: block, from: start) {
            var event = EventStreamReader.Event()
            for line in String(decoding: block[start..<end], as: UTF8.self).split(separator: "\n") {
                if line == ": heartbeat" { heartbeats += 1 }
                // WHATWG HTML: an `id` counts at the blank line, with or without an event.
                if line.hasPrefix("id: ") {
                    event.id = String(line.dropFirst(4))
                    lastID = event.id
                }
                if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
                if line.hasPrefix("data: ") { event.data = String(line.dropFirst(6)) }
            }
            if !event.data.isEmpty {
                events.append(event)
                times.append(now)
            }
            start = end + 2
        }
        block.removeFirst(start)
    }

    /// Uses the C library: an unoptimised test reads streams of many megabytes.
    private static func position(of mark: StaticString, in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress else { return nil }
            let length = mark.utf8CodeUnitCount
            var start = start
            while start + length <= bytes.count,
                let found = memchr(base + start, Int32(mark.utf8Start.pointee), bytes.count - start)
            {
                let place = UnsafeRawPointer(found) - base
                guard place + length <= bytes.count else { return nil }
                if memcmp(found, mark.utf8Start, length) == 0 { return place }
                start = place + 1
            }
            return nil
        }
    }
}
