// Ports for the servers that tests start. The kernel's free ports come from the range of outgoing connections, of which
// the tests open hundreds, so another one could take the port before the server binds it. These ports come from below
// that range.
internal import Glibc
internal import Synchronization

/// Hands out ports of the loopback interface that are free, each once in this process.
package enum FreePort {
    /// Below Linux's ephemeral ports (32768…60999); `scripts/with-postgres` uses 20000…31999.
    private static let range: Range<UInt16> = 10_000..<20_000
    /// Concurrent processes start at different places.
    private static let next = Mutex(UInt16(truncatingIfNeeded: getpid()) &* 37 % UInt16(range.count))

    /// A port that was free a moment ago and that no other call gets.
    package static func take() throws -> Int {
        for _ in range {
            let port = next.withLock { offset in
                offset = (offset + 1) % UInt16(range.count)
                return range.lowerBound + offset
            }
            if canBind(port) { return Int(port) }
        }
        throw NoFreePort()
    }

    private static func canBind(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withLoopbackAddress(port: port) { address, length in bind(descriptor, address, length) } == 0
    }

    private struct NoFreePort: Error {}
}

func withLoopbackAddress<Result>(
    port: UInt16,
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
) rethrows -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr = in_addr(s_addr: UInt32(0x7F00_0001).bigEndian)
    return try withUnsafePointer(to: &address) { pointer in
        try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            try body(generic, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
