// Passwords in, PHC strings out; and the check of one against the other.
//
// What is hashed is the password in Unicode normalisation form C, so that "é" typed on one keyboard equals "é" typed
// on another. Length limits and lists of common passwords are the business of whoever accepts a new password; this
// type hashes what it is given and only refuses what libargon2 cannot take.
//
// Memory: at most threads × memoryKiB for hashes of the configured cost, given back after a minute without work.

internal import Foundation
package import OpenSSLCrypto
internal import ServiceLifecycle
internal import Synchronization

/// Why there is no answer about a password.
package enum HashingError: Error, Sendable, Equatable {
    /// The line is full. The seconds are an estimate of when it has been worked off, at least 1.
    case overloaded(retryAfterSeconds: Int)
    /// The stored hash cannot be checked.
    case invalidHash(PHCError)
    /// The caller's task was cancelled while the work waited.
    case cancelled
    /// libargon2 refused; the code is one of `argon2.h`. -22 is a lack of memory.
    case failed(code: Int32)
    /// The hasher has been shut down.
    case shutDown
}

/// What checking a password found.
package enum PasswordVerdict: Sendable, Equatable {
    /// It is the password. If `needsRehash`, hashing it anew with today's parameters would be safer.
    case matches(needsRehash: Bool)
    case differs
}

/// Hashes and checks passwords with Argon2id on threads of its own.
package final class PasswordHasher: Sendable, Service {
    /// Computes a tag; tests put something they control in its place.
    typealias Compute = @Sendable (SecretBytes, Argon2Request, HashingArena) -> Result<[UInt8], HashingError>

    private static let saltCount = 16
    private static let tagCount = 32
    /// How long a thread keeps its memory without work, in seconds.
    private static let idleTime = 60.0

    /// The cost of new hashes.
    package let parameters: Argon2Parameters
    private let threads: Int
    private let queue: HashingQueue
    private let random: RandomSource
    private let compute: Compute
    private let isStarted = Atomic(false)

    /// `parameters`: the cost of new hashes; call `validate()` on it when it comes from configuration.
    /// `threads`: hashes computed at once, at least 1; each may use `memoryKiB`.
    /// `queueLimit`: how many may wait besides; one more is refused as `.overloaded`.
    package convenience init(
        parameters: Argon2Parameters = Argon2Parameters(),
        threads: Int,
        queueLimit: Int,
        random: RandomSource = .system
    ) {
        self.init(
            parameters: parameters,
            threads: threads,
            queueLimit: queueLimit,
            random: random,
            compute: Argon2.tag
        )
    }

    init(
        parameters: Argon2Parameters,
        threads: Int,
        queueLimit: Int,
        random: RandomSource,
        compute: @escaping Compute
    ) {
        self.parameters = parameters
        self.threads = max(1, threads)
        self.random = random
        self.compute = compute
        queue = HashingQueue(limit: max(0, queueLimit), threads: self.threads)
    }

    deinit { queue.close() }

    // MARK: - Passwords

    /// Hashes a password, whose length the caller has checked, with a new salt.
    ///
    /// - Returns: a PHC string.
    package func hash(_ password: String) async throws(HashingError) -> String {
        let request = request(salt: random.bytes(Self.saltCount))
        let tag = try await tag(of: password, request)
        return PHCString(
            variant: request.variant,
            version: request.version,
            parameters: parameters,
            salt: request.salt,
            tag: tag
        ).text
    }

    /// Compares a password with a stored hash.
    ///
    /// - Throws: `.invalidHash` for text that is not a hash or asks for too much; it costs nothing then.
    package func verify(_ password: String, against phc: String) async throws(HashingError) -> PasswordVerdict {
        let stored: PHCString
        do { stored = try PHCString(phc) } catch { throw .invalidHash(error) }
        let tag = try await tag(
            of: password,
            Argon2Request(
                variant: stored.variant,
                version: stored.version,
                parameters: stored.parameters,
                salt: stored.salt,
                tagCount: stored.tag.count
            )
        )
        guard constantTimeEqual(tag, stored.tag) else { return .differs }
        return .matches(needsRehash: stored.isWeaker(than: parameters))
    }

    /// Costs what `verify` costs against a hash of the configured parameters, and finds nothing.
    ///
    /// SECURITY: without it, a login with an unknown address would answer sooner than one with a wrong password, and
    /// anyone with a stopwatch could list who has an account.
    package func verifyAgainstNothing(_ password: String) async throws(HashingError) {
        let tag = try await tag(of: password, request(salt: [UInt8](repeating: 0, count: Self.saltCount)))
        _ = constantTimeEqual(tag, [UInt8](repeating: 0, count: Self.tagCount))
    }

    /// Passwords in line, not counting those being hashed. A metric.
    package var waiting: Int { queue.count }

    private func request(salt: [UInt8]) -> Argon2Request {
        Argon2Request(variant: .argon2id, version: 19, parameters: parameters, salt: salt, tagCount: Self.tagCount)
    }

    private func tag(of password: String, _ request: Argon2Request) async throws(HashingError) -> [UInt8] {
        let bytes = SecretBytes(password.precomposedStringWithCanonicalMapping.utf8)
        startThreads()
        let ticket = HashingJob.Ticket()
        let result: Result<[UInt8], HashingError> = await withTaskCancellationHandler {
            await withCheckedContinuation { reply in
                let job = HashingJob(ticket: ticket, password: bytes, request: request, reply: reply)
                if let refused = queue.add(job) { reply.resume(returning: .failure(refused)) }
            }
        } onCancel: {
            queue.cancel(ticket)
        }
        return try result.get()
    }

    // MARK: - Threads

    /// Runs until graceful shutdown, then finishes the hashes being computed and refuses the rest.
    package func run() async throws {
        // Cancellation ends the wait like a shutdown does.
        try? await gracefulShutdown()
        await shutdown()
    }

    /// Stops the threads and returns when they have ended. Callers that still wait get `.shutDown`.
    package func shutdown() async {
        queue.close()
        await queue.waitForThreads()
    }

    /// With the first password, so that a process that never sees one (`tessera migrate`) has no idle threads.
    private func startThreads() {
        guard !isStarted.exchange(true, ordering: .relaxed) else { return }
        for index in 0..<threads where queue.enter() {
            let (queue, compute, arenaLimit) = (queue, compute, parameters.memoryKiB * 1024)
            let thread = Thread { Self.work(queue, compute, arenaLimit: arenaLimit) }
            thread.name = "hash-\(index)"
            thread.start()
        }
    }

    private static func work(_ queue: HashingQueue, _ compute: Compute, arenaLimit: Int) {
        let arena = HashingArena()
        while let job = queue.next(idleTime: idleTime, whenIdle: arena.release) {
            let start = ContinuousClock.now
            let result = compute(job.password, job.request, arena)
            queue.finish(seconds: start.duration(to: .now) / .seconds(1))
            // An imported hash may have needed far more than ours do; that is not kept.
            if arena.capacity > arenaLimit { arena.release() }
            job.reply.resume(returning: result)
        }
        queue.leave()
    }
}
