// The memory of one hashing thread.
//
// Each hash needs tens of MiB for some milliseconds. With malloc, the kernel would clear fresh pages for every login,
// and glibc raises its thresholds after the first large `free` and never returns those pages. Here each thread keeps
// its own mapping between hashes and unmaps it when idle.

import CArgon2
internal import Foundation

/// Serves the hashes of one thread, one after another.
@safe final class HashingArena {
    private var memory: UnsafeMutableRawPointer?
    private(set) var capacity = 0

    deinit { release() }

    func release() {
        if let memory = unsafe memory { unsafe munmap(memory, capacity) }
        unsafe memory = nil
        capacity = 0
    }

    /// Runs one hash with this arena's memory, which libargon2 wipes before it returns.
    func compute(_ context: inout argon2_context, _ variant: argon2_type) -> Int32 {
        guard let key = Self.currentArena else { return Int32(ARGON2_MEMORY_ALLOCATION_ERROR.rawValue) }
        unsafe context.allocate_cbk = { memory, count in
            guard let memory = unsafe memory, let arena = HashingArena.current, let start = unsafe arena.reserve(count)
            else { return Int32(ARGON2_MEMORY_ALLOCATION_ERROR.rawValue) }
            unsafe memory.pointee = start.assumingMemoryBound(to: UInt8.self)
            return Int32(ARGON2_OK.rawValue)
        }
        unsafe context.free_cbk = { _, _ in }
        guard unsafe pthread_setspecific(key, Unmanaged.passUnretained(self).toOpaque()) == 0 else {
            return Int32(ARGON2_MEMORY_ALLOCATION_ERROR.rawValue)
        }
        defer { pthread_setspecific(key, nil) }
        return unsafe argon2_ctx(&context, variant)
    }

    private func reserve(_ count: Int) -> UnsafeMutableRawPointer? {
        if count > capacity {
            release()
            let flags = MAP_PRIVATE | MAP_ANONYMOUS
            guard let mapped = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0),
                unsafe mapped != MAP_FAILED
            else { return nil }
            unsafe memory = mapped
            capacity = count
        }
        return unsafe memory
    }

    /// libargon2's callbacks have no user argument, so the thread remembers the arena during `compute`. libargon2
    /// allocates on the thread that called it, whatever the parallelism.
    private static let currentArena: pthread_key_t? = {
        var key = pthread_key_t()
        return unsafe pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    private static var current: HashingArena? {
        guard let key = currentArena, let pointer = unsafe pthread_getspecific(key) else { return nil }
        return unsafe Unmanaged<HashingArena>.fromOpaque(pointer).takeUnretainedValue()
    }
}
