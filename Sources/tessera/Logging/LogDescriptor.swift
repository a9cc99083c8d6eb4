// The descriptor that the log goes to.

#if canImport(Glibc)
    import Glibc
#endif

/// Writes to a file, a pipe or a terminal that others may share.
struct LogDescriptor: Sendable {
    let number: Int32

    /// Writes bytes and blocks until they are written or an error ends it. Returns how many were written.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.withUnsafeBytes { bytes in
            var count = 0
            while count < bytes.count {
                let result = Glibc.write(number, bytes.baseAddress?.advanced(by: count), bytes.count - count)
                if result >= 0 {
                    count += result
                } else if errno == EAGAIN {
                    // Another process has made it non-blocking for all that share it.
                    var awaited = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
                    poll(&awaited, 1, -1)
                } else if errno != EINTR {
                    // A full disk or a reader that went away must not stop the server.
                    return count
                }
            }
            return count
        }
    }
}
