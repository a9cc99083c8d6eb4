// A TCP connection that says exactly the bytes a test wants said, at the pace it wants: half a request, then
// silence. An HTTP client would not do that.
internal import Foundation
internal import Glibc

/// A connection to a port of the loopback interface.
package final class RawConnection: Sendable {
    private let descriptor: Int32

    /// Connects to 127.0.0.1:`port`; throws `Failure` when nobody listens there.
    package init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(operation: "socket", code: errno) }
        let connected = withLoopbackAddress(port: UInt16(port)) { address, length in
            connect(descriptor, address, length)
        }
        // Every stored property has its value by now, so a throw runs `deinit`, which closes. Closing here as well would
        // close whatever descriptor another thread was given in between.
        guard connected == 0 else { throw Failure(operation: "connect", code: errno) }
    }

    deinit {
        close(descriptor)
    }

    /// Sends all of `text`; throws when the other side has closed.
    package func send(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { bytes in
                Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { throw Failure(operation: "send", code: errno) }
            rest = rest.dropFirst(sent)
        }
    }

    /// What the other side says until it closes the connection; throws `Failure` with ETIMEDOUT when the
    /// connection is still open after `limit`. A slow reader takes so many bytes a second.
    package func receiveUntilClosed(within limit: Duration, bytesPerSecond: Int? = nil) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            // A thread of its own: poll() blocks, and the cooperative pool has few threads.
            Thread.detachNewThread {
                continuation.resume(with: Result { try self.readUntilClosed(limit, bytesPerSecond) })
            }
        }
    }

    /// How many bytes were there, of which it takes so many at most; `nil` once the other side has closed.
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
            // A reset is a close too: the server dropped a connection that still had bytes under way.
            guard count > 0 else { return String(decoding: received, as: UTF8.self) }
            received += buffer[..<count]
            if let bytesPerSecond {
                let due = begun + .seconds(Double(received.count) / Double(bytesPerSecond))
                Thread.sleep(forTimeInterval: max(0, ContinuousClock.now.duration(to: due) / .seconds(1)))
            }
        }
    }

    /// A socket function that failed, and its errno.
    package struct Failure: Error, CustomStringConvertible {
        package let operation: String
        package let code: Int32

        package var description: String { "\(operation): \(String(cString: strerror(code)))" }
    }
}
