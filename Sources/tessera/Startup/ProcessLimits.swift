// What a process takes from the system: descriptors, of which each connection is one, and memory that it does not use.
import CMalloc
import Logging
import ServiceKit

#if canImport(Glibc)
    import Glibc
#endif

enum ProcessLimits {
    /// Descriptors for databases, logs, listeners and what runs beside connections.
    private static let reserve = 128

    /// Raises the limit of open files as far as the system allows, and makes the allocator give back what it has freed.
    ///
    /// - Returns: `limits` with no more connections than there are descriptors for, which is logged.
    static func prepare(_ limits: ConnectionLimits, logger: Logger) -> ConnectionLimits {
        setAllocator()
        let open = raiseDescriptorLimit()
        let maxConnections = max(open - reserve, open / 2)
        guard limits.connections > maxConnections else { return limits }
        logger.warning(
            "the limit of open files is low, and bounds the connections",
            metadata: [
                "open_files": "\(open)", "connections": "\(maxConnections)", "wanted": "\(limits.connections)",
            ]
        )
        var limits = limits
        limits.connections = maxConnections
        return limits
    }

    private static func raiseDescriptorLimit() -> Int {
        let descriptors = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(descriptors, &limit) == 0 else { return .max }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if setrlimit(descriptors, &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// glibc keeps what was freed in up to eight heaps for each core, and raises by itself the size from which a block
    /// is a mapping of its own, which goes back to the system when it is freed (mallopt(3)).
    private static func setAllocator() {
        _ = mallopt(M_ARENA_MAX, 4)
        _ = mallopt(M_MMAP_THRESHOLD, 256 << 10)
        _ = mallopt(M_TRIM_THRESHOLD, 1 << 20)
    }
}
