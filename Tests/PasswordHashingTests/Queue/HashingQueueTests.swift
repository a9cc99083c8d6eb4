import Logging
import OpenSSLCrypto
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import PasswordHashing

/// Replaces Argon2: each hash waits until the test releases it.
private final class HeldHashes: Sendable {
    private let gate = Gate()
    private let counts = Mutex((running: 0, most: 0, finished: 0, order: [[UInt8]]()))

    var running: Int { counts.withLock { $0.running } }
    var most: Int { counts.withLock { $0.most } }
    var finished: Int { counts.withLock { $0.finished } }
    /// In the order in which threads took them.
    var order: [String] { counts.withLock { $0.order }.map { String(decoding: $0, as: UTF8.self) } }

    var compute: PasswordHasher.Compute {
        { password, request, _ in
            let bytes = password.withUnsafeBytes { Array($0) }
            self.counts.withLock {
                $0.running += 1
                $0.most = max($0.most, $0.running)
                $0.order.append(bytes)
            }
            // Longer than any wait of a test.
            self.gate.enterAndWait(atMost: 600)
            self.counts.withLock {
                $0.running -= 1
                $0.finished += 1
            }
            return .success([UInt8](repeating: 7, count: request.tagCount))
        }
    }

    func release(_ count: Int = 1) { gate.open(count) }
}

private func result(_ hasher: PasswordHasher, _ password: String) async -> Result<String, HashingError> {
    do { return .success(try await hasher.hash(password)) } catch { return .failure(error) }
}

@Suite("The line in front of the hashing threads")
struct HashingQueueTests {
    private func hasher(_ held: HeldHashes, threads: Int, queueLimit: Int) -> PasswordHasher {
        PasswordHasher(
            parameters: Argon2Parameters(),
            threads: threads,
            queueLimit: queueLimit,
            random: .system,
            compute: held.compute
        )
    }

    @Test("no more hashes run at once than there are threads", .timeLimit(.minutes(15)))
    func concurrency() async throws {
        let held = HeldHashes()
        let hasher = hasher(held, threads: 3, queueLimit: 100)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 { group.addTask { _ = try await hasher.hash("\(number)") } }
            try await eventually(within: .seconds(60), "three run and the others wait") {
                held.running == 3 && hasher.waiting == 37
            }
            for finished in 1...40 {
                held.release()
                try await eventually(within: .seconds(60), "\(finished) are finished") {
                    held.finished == finished && held.running == min(3, 40 - finished)
                }
            }
            try await group.waitForAll()
        }
        #expect(held.most == 3)
        #expect(hasher.waiting == 0)
        await hasher.shutdown()
    }

    @Test(
        "a full line refuses at once, says when to come back, and admits again when it moves",
        .timeLimit(.minutes(15))
    )
    func overload() async throws {
        let held = HeldHashes()
        let hasher = hasher(held, threads: 1, queueLimit: 2)
        let admitted = ["first", "second", "third"].map { name in Task { await result(hasher, name) } }
        try await eventually(within: .seconds(60), "one runs and two wait") { held.running == 1 && hasher.waiting == 2 }
        for _ in 0..<20 {
            guard case .failure(.overloaded(let seconds)) = await result(hasher, "one too many") else {
                Issue.record("a full line admitted another")
                return
            }
            #expect((1...60).contains(seconds))
        }
        held.release()
        try await eventually(within: .seconds(60), "one waits") { hasher.waiting == 1 }
        let last = Task { await result(hasher, "last") }
        try await eventually(within: .seconds(60), "two wait") { hasher.waiting == 2 }
        held.release(3)
        for task in admitted + [last] { await #expect(throws: Never.self) { try await task.value.get() } }
        #expect(!held.order.contains("one too many"))
        await hasher.shutdown()
    }

    @Test("the line is first in, first out", .timeLimit(.minutes(15)))
    func order() async throws {
        let held = HeldHashes()
        let hasher = hasher(held, threads: 1, queueLimit: 10)
        var tasks = [Task { await result(hasher, "0") }]
        try await eventually(within: .seconds(60), "the first runs") { held.running == 1 }
        for number in 1...5 {
            tasks.append(Task { await result(hasher, "\(number)") })
            try await eventually(within: .seconds(60), "\(number) wait") { hasher.waiting == number }
        }
        held.release(6)
        for task in tasks { _ = await task.value }
        #expect(held.order == ["0", "1", "2", "3", "4", "5"])
        await hasher.shutdown()
    }

    @Test("a cancelled caller leaves the line and is never computed", .timeLimit(.minutes(15)))
    func cancellation() async throws {
        let held = HeldHashes()
        let hasher = hasher(held, threads: 1, queueLimit: 10)
        let running = Task { await result(hasher, "running") }
        try await eventually(within: .seconds(60), "the first runs") { held.running == 1 }
        let cancelled = Task { await result(hasher, "cancelled") }
        try await eventually(within: .seconds(60), "one waits") { hasher.waiting == 1 }
        let staying = Task { await result(hasher, "staying") }
        try await eventually(within: .seconds(60), "two wait") { hasher.waiting == 2 }
        cancelled.cancel()
        #expect(await cancelled.value == .failure(.cancelled))
        #expect(hasher.waiting == 1)
        // A running hash finishes and is answered.
        running.cancel()
        held.release(2)
        await #expect(throws: Never.self) { try await running.value.get() }
        await #expect(throws: Never.self) { try await staying.value.get() }
        #expect(held.order == ["running", "staying"])
        await hasher.shutdown()
    }

    @Test("a caller cancelled beforehand never enters the line", .timeLimit(.minutes(15)))
    func cancelledBeforehand() async throws {
        let held = HeldHashes()
        let hasher = hasher(held, threads: 1, queueLimit: 10)
        let start = AsyncStream<Void>.makeStream()
        let task = Task {
            // Ends early because the task is cancelled.
            for await _ in start.stream {}
            return await result(hasher, "too late")
        }
        task.cancel()
        #expect(await task.value == .failure(.cancelled))
        #expect(held.order.isEmpty)
        await hasher.shutdown()
    }

    @Test(
        "shutdown finishes what is being computed, refuses what waits, and admits nothing more",
        .timeLimit(.minutes(15))
    )
    func shutdown() async throws {
        let held = HeldHashes()
        let hasher = hasher(held, threads: 1, queueLimit: 10)
        let running = Task { await result(hasher, "running") }
        try await eventually(within: .seconds(60), "the first runs") { held.running == 1 }
        let waiting = Task { await result(hasher, "waiting") }
        try await eventually(within: .seconds(60), "one waits") { hasher.waiting == 1 }
        let end = Task { await hasher.shutdown() }
        #expect(await waiting.value == .failure(.shutDown))
        #expect(held.finished == 0)
        held.release()
        await end.value
        #expect(held.finished == 1)
        await #expect(throws: Never.self) { try await running.value.get() }
        #expect(await result(hasher, "too late") == .failure(.shutDown))
        await hasher.shutdown()
    }

    @Test("as a service, the hasher runs until graceful shutdown", .timeLimit(.minutes(15)))
    func service() async throws {
        let held = HeldHashes()
        let hasher = hasher(held, threads: 2, queueLimit: 10)
        let group = ServiceGroup(
            configuration: .init(services: [.init(service: hasher)], logger: Logger(label: "test"))
        )
        let run = Task { try await group.run() }
        held.release()
        _ = try await hasher.hash("password")
        await group.triggerGracefulShutdown()
        try await run.value
        #expect(await result(hasher, "too late") == .failure(.shutDown))
    }

    @Test("a password nobody has costs one hash of the configured parameters", .timeLimit(.minutes(15)))
    func verifyAgainstNothing() async throws {
        let requests = Mutex<[Argon2Request]>([])
        let parameters = Argon2Parameters(memoryKiB: 12_345, iterations: 3, parallelism: 1)
        let hasher = PasswordHasher(
            parameters: parameters,
            threads: 1,
            queueLimit: 1,
            random: .system,
            compute: { _, request, _ in
                requests.withLock { $0.append(request) }
                return .success([UInt8](repeating: 0, count: request.tagCount))
            }
        )
        try await hasher.verifyAgainstNothing("password")
        _ = try await hasher.hash("password")
        let seen = requests.withLock { $0 }
        #expect(seen.count == 2)
        #expect(seen[0].parameters == parameters)
        #expect(seen[0].variant == seen[1].variant && seen[0].tagCount == seen[1].tagCount)
        #expect(seen[0].salt.count == seen[1].salt.count)
        await hasher.shutdown()
    }
}
