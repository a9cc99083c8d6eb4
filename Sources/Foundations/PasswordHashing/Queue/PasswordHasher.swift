// Hashes and checks passwords.
//
// A password is hashed in Unicode normalisation form C, so that "é" is the same from every keyboard. The caller checks
// its length and the list of common passwords. Memory is at most threads × memoryKiB, and is released after a minute
// without work.

internal import Foundation
package import OpenSSLCrypto
internal import ServiceLifecycle
internal import Synchronization

package enum HashingError: Error, Sendable, Equatable {
    /// The queue is full. The seconds estimate when it is empty, at least 1.
    case overloaded(retryAfterSeconds: Int)
    case invalidHash(PHCError)
    case cancelled
    /// libargon2 refused, with a code of `argon2.h`. -22 is a lack of memory.
    case failed(code: Int32)
    case shutDown
}

package enum PasswordVerdict: Sendable, Equatable {
    /// `needsRehash`: a hash with the current parameters would be safer.
    case matches(needsRehash: Bool)
    case differs
}

package final class PasswordHasher: Sendable, Service {
    /// Computes a tag. Tests replace it.
    typealias Compute = @Sendable (SecretBytes, Argon2Request, HashingArena) -> Result<[UInt8], HashingError>

    private static let saltCount = 16
    private static let tagCount = 32
    private static let idleTime = 60.0

    package let parameters: Argon2Parameters
    private let threads: Int
    private let queue: HashingQueue
    private let random: RandomSource
    private let compute: Compute
    private let isStarted = Atomic(false)

    /// - `parameters`: call `validate()` first if they come from configuration.
    /// - `threads`: hashes computed at once, at least 1; each may use `memoryKiB`.
    /// - `queueLimit`: how many more may wait; the next is refused as `.overloaded`.
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

    /// Hashes with a new salt, and returns a PHC string. The caller has checked the length.
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
    /// - Throws: `.invalidHash`, before any work, for text that is not a hash or costs too much.
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

    /// Takes the time of `verify` against a hash of this cost and finds nothing. `nil` is the cost of a new hash.
    ///
    /// SECURITY: without it, a login with an unknown address would be answered sooner than one with a wrong password.
    /// The difference would reveal which accounts exist.
    package func verifyAgainstNothing(_ password: String, at cost: PasswordCost? = nil) async throws(HashingError) {
        if let cost {
            _ = try await verify(password, against: cost.text)
            return
        }
        let tag = try await tag(of: password, request(salt: [UInt8](repeating: 0, count: Self.saltCount)))
        _ = constantTimeEqual(tag, [UInt8](repeating: 0, count: Self.tagCount))
    }

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

    /// Runs until graceful shutdown, then finishes the running hashes and refuses the rest.
    package func run() async throws {
        // Cancellation ends the wait as a shutdown does.
        try? await gracefulShutdown()
        await shutdown()
    }

    /// Returns when the threads have ended. Callers that still wait get `.shutDown`.
    package func shutdown() async {
        queue.close()
        await queue.waitForThreads()
    }

    /// Starts with the first password, so that `tessera migrate` has no idle threads.
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
            // An imported hash may have needed far more memory than ours do.
            if arena.capacity > arenaLimit { arena.release() }
            job.reply.resume(returning: result)
        }
        queue.leave()
    }
}
