// A TCP connection that sends exactly a test's bytes at its pace, which an HTTP client would not do: half a request,
// then silence.
internal import Foundation
internal import Glibc

package final class RawConnection: Sendable {
    private let descriptor: Int32

    /// Throws `Failure` if nothing listens on the port.
    package init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(operation: "socket", code: errno) }
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        let connected = withLoopbackAddress(port: UInt16(port)) { address, length in
            connect(descriptor, address, length)
        }
        // All stored properties are set, so a throw runs `deinit`, which closes. Closing here too would close a
        // descriptor that another thread got in between.
        guard connected == 0 else { throw Failure(operation: "connect", code: errno) }
    }

    deinit {
        close(descriptor)
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Sends all bytes; throws when the other side has closed.
    package func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { bytes in
                Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { throw Failure(operation: "send", code: errno) }
            rest = rest.dropFirst(sent)
        }
    }

    /// Sends what the kernel takes without waiting, and returns how many bytes that were; `nil` once the other side has
    /// closed.
    package func sendNow(_ bytes: ArraySlice<UInt8>) -> Int? {
        let sent = bytes.withUnsafeBytes { bytes in
            Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
        if sent < 0, errno == EAGAIN { return 0 }
        return sent > 0 ? sent : nil
    }

    /// Ends the sending half. The other side may go on.
    package func finishSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Reads until the other side closes; throws `Failure` with ETIMEDOUT after `limit`. `bytesPerSecond` makes the
    /// reader slow.
    package func receiveUntilClosed(within limit: Duration, bytesPerSecond: Int? = nil) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            // poll() blocks, and the cooperative pool has few threads.
            Thread.detachNewThread {
                continuation.resume(with: Result { try self.readUntilClosed(limit, bytesPerSecond) })
            }
        }
    }

    /// What the other side says until the text is as wanted, until it closes the connection, or for as long as `limit`.
    package func receive(
        within limit: Duration,
        until isEnough: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async -> (text: String, isClosed: Bool) {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: self.read(limit, isEnough)) }
        }
    }

    private func read(_ limit: Duration, _ isEnough: (String) -> Bool) -> (text: String, isClosed: Bool) {
        let deadline = ContinuousClock.now + limit
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let text = String(decoding: received, as: UTF8.self)
            guard !isEnough(text) else { return (text, false) }
            let left = ContinuousClock.now.duration(to: deadline)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard milliseconds > 0, poll(&waiting, 1, Int32(milliseconds)) > 0 else { return (text, false) }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return (text, true) }
            received += buffer[..<count]
        }
    }

    /// The number of bytes read; `nil` once the other side has closed.
    package func receiveSome(atMost most: Int) -> Int? {
        var buffer = [UInt8](repeating: 0, count: most)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count < 0, errno == EAGAIN { return 0 }
        return count > 0 ? count : nil
    }

    private func readUntilClosed(_ limit: Duration, _ bytesPerSecond: Int?) throws -> String {
        let begun = ContinuousClock.now
        let deadline = begun + limit
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard milliseconds > 0, poll(&waiting, 1, Int32(milliseconds)) > 0 else {
                throw Failure(operation: "receive", code: ETIMEDOUT)
            }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            // A reset is a close too: the server dropped a connection with bytes in flight.
            guard count > 0 else { return String(decoding: received, as: UTF8.self) }
            received += buffer[..<count]
            if let bytesPerSecond {
                let due = begun + .seconds(Double(received.count) / Double(bytesPerSecond))
                Thread.sleep(forTimeInterval: max(0, ContinuousClock.now.duration(to: due) / .seconds(1)))
            }
        }
    }

    package struct Failure: Error, CustomStringConvertible {
        package let operation: String
        package let code: Int32

        package var description: String { "\(operation): \(String(cString: strerror(code)))" }
    }
}
