#if canImport(Glibc)
    import Glibc
#endif

/// A file, pipe or terminal that other processes may share.
struct LogDescriptor: Sendable {
    let number: Int32

    /// Blocks until the bytes are written or an error occurs; returns how many were written.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.withUnsafeBytes { bytes in
            var count = 0
            while count < bytes.count {
                let result = Glibc.write(number, bytes.baseAddress?.advanced(by: count), bytes.count - count)
                if result >= 0 {
                    count += result
                } else if errno == EAGAIN {
                    // Another process has made the shared descriptor non-blocking.
                    var awaited = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
                    poll(&awaited, 1, -1)
                } else if errno != EINTR {
                    // A full disk or a missing reader must not stop the server.
                    return count
                }
            }
            return count
        }
    }
}
