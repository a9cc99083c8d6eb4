// The memory of one hashing thread.
//
// Each hash needs tens of MiB for some milliseconds. Left to malloc, the kernel would clear fresh pages for every
// login, and what the allocator keeps would depend on its mood: after its first large `free` glibc raises its
// thresholds and never gives those pages back. Here each thread keeps its own mapping between hashes, so that the
// process needs threads × memory while busy, and returns it when it has been idle.

import CArgon2
internal import Foundation

/// Memory that hashes of one thread use one after another. It is not shared between threads.
@safe final class HashingArena {
    private var memory: UnsafeMutableRawPointer?
    /// Bytes mapped at present.
    private(set) var capacity = 0

    deinit { release() }

    /// Returns the memory to the system.
    func release() {
        if let memory = unsafe memory { unsafe munmap(memory, capacity) }
        unsafe memory = nil
        capacity = 0
    }

    /// Runs one hash whose memory comes from this arena; libargon2 wipes it before it lets go.
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

    // MARK: - The arena of the calling thread

    /// libargon2's callbacks have no argument of the caller's, so the thread itself remembers the arena for the
    /// duration of `compute`. libargon2 allocates on the thread that called it, whatever the number of lanes.
    private static let currentArena: pthread_key_t? = {
        var key = pthread_key_t()
        return unsafe pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    private static var current: HashingArena? {
        guard let key = currentArena, let pointer = unsafe pthread_getspecific(key) else { return nil }
        return unsafe Unmanaged<HashingArena>.fromOpaque(pointer).takeUnretainedValue()
    }
}
