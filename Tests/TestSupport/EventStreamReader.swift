// A reader of server-sent events as a service in any language would have one: a socket, a thread, the text format. It
// keeps everything it was sent and when, and can be told to stop reading, as a stuck consumer would.
internal import Foundation
internal import Glibc
internal import Synchronization

/// A GET whose answer goes on, read as it comes.
package final class EventStreamReader: Sendable {
    /// An event as it was told.
    package struct Event: Sendable, Hashable {
        package var id = ""
        package var name = ""
        package var data = ""

        package var seq: Int64 { Int64(id.split(separator: ":").last ?? "") ?? -1 }
    }

    private struct State {
        var received: [UInt8] = []
        var isClosed = false
        /// When each event came, in the order of `events`.
        var times: [ContinuousClock.Instant] = []
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    /// Connects to 127.0.0.1:`port` and sends the request.
    ///
    /// - Parameter reads: Whether the answer is taken; otherwise it stays in the sockets' buffers until they are full.
    package init(
        port: Int,
        path: String = "/v1/events",
        token: String,
        lastEventID: String? = nil,
        reads: Bool = true
    ) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw RawConnection.Failure(operation: "socket", code: errno) }
        if !reads {
            // The smallest window there is, so that a stuck reader is noticed after kilobytes and not megabytes.
            var size: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        let connected = withLoopbackAddress(port: UInt16(port)) { address, length in
            connect(descriptor, address, length)
        }
        guard connected == 0 else { throw RawConnection.Failure(operation: "connect", code: errno) }
        var head = """
            GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAccept: text/event-stream\r\n\
            Authorization: Bearer \(token)\r\n
            """
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

    /// Begins to read, on a thread that ends with the connection.
    package func resume() {
        let descriptor = descriptor
        Thread.detachNewThread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 16 * 1024)
            while true {
                // Looks up now and then, so that a reader that was let go of does not keep its thread.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                let ready = poll(&waiting, 1, 100)
                guard let self else { return }
                if ready == 0 { continue }
                let count = recv(descriptor, &buffer, buffer.count, 0)
                let now = ContinuousClock.now
                let isOver = self.state.withLock { state in
                    if count > 0 { state.received += buffer[..<count] } else { state.isClosed = true }
                    // Times are for short streams: the text is read anew each time.
                    guard state.received.count < 256 * 1024 else { return state.isClosed }
                    let known = Self.events(in: Self.body(state.received)).count
                    state.times += Array(repeating: now, count: max(0, known - state.times.count))
                    return state.isClosed
                }
                if isOver { return }
            }
        }
    }

    /// Cuts the connection from this side.
    package func cut() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Whether the other side has ended the answer or the connection.
    package var hasEnded: Bool {
        state.withLock { $0.isClosed || Self.text($0.received).hasSuffix("0\r\n\r\n") }
    }

    /// The status of the answer; 0 before it came.
    package var status: Int {
        Int(head.split(separator: " ", maxSplits: 2).dropFirst().first ?? "") ?? 0
    }

    /// The head of the answer.
    package var head: String {
        let text = state.withLock { Self.text($0.received) }
        return text.range(of: "\r\n\r\n").map { String(text[..<$0.lowerBound]) } ?? ""
    }

    /// The body so far, without its chunks' lengths.
    package var body: String { state.withLock { Self.body($0.received) } }

    /// Every whole event so far, `caught_up` included.
    package var events: [Event] { Self.events(in: body) }

    /// Events of the log.
    package var told: [Event] { events.filter { $0.name != "caught_up" } }

    package var isCaughtUp: Bool { events.contains { $0.name == "caught_up" } }

    /// When an event came.
    package func time(of index: Int) -> ContinuousClock.Instant { state.withLock { $0.times[index] } }

    /// How many heartbeats came.
    package var heartbeats: Int { body.split(separator: "\n").count { $0 == ": heartbeat" } }

    /// What a consumer would send as `Last-Event-ID` (WHATWG HTML: an `id` counts at the blank line, with or without an
    /// event).
    package var lastID: String? {
        body.components(separatedBy: "\n\n").dropLast().flatMap { $0.split(separator: "\n") }
            .last { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func events(in body: String) -> [Event] {
        // What is behind the last blank line is not an event yet.
        body.components(separatedBy: "\n\n").dropLast().compactMap { block in
            var event = Event()
            for line in block.split(separator: "\n") {
                if line.hasPrefix("id: ") { event.id = String(line.dropFirst(4)) }
                if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
                if line.hasPrefix("data: ") { event.data = String(line.dropFirst(6)) }
            }
            return event.data.isEmpty ? nil : event
        }
    }

    /// RFC 9112 §7.1, as far as a server of ours goes; a body that is not chunked comes whole.
    private static func body(_ received: [UInt8]) -> String {
        let separator = Array("\r\n\r\n".utf8)
        guard let head = received.firstRange(of: separator) else { return "" }
        var rest = received[head.upperBound...]
        guard text(Array(received[..<head.lowerBound])).lowercased().contains("transfer-encoding: chunked") else {
            return text(Array(rest))
        }
        var body: [UInt8] = []
        while let line = rest.firstRange(of: Array("\r\n".utf8)) {
            guard let length = Int(text(Array(rest[..<line.lowerBound])), radix: 16), length > 0 else { break }
            let chunk = rest[line.upperBound...].prefix(length)
            body += chunk
            rest = rest[line.upperBound...].dropFirst(length + 2)
        }
        return text(body)
    }
}
