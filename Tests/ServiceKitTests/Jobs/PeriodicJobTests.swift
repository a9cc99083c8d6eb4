import Logging
import ServiceKit
import Synchronization
import Testing

@Suite("Periodic jobs")
struct PeriodicJobTests {
    private struct Failure: Error {}

    private final class Passes: Sendable {
        private let count = Atomic(0)

        func next() -> Int { count.add(1, ordering: .relaxed).newValue }
    }

    @Test("a pass that fails is tried again, at once and at each tick, until the task ends")
    func repeats() async throws {
        var logger = Logger(label: "test.job")
        logger.logLevel = .critical
        let job = PeriodicJob(every: .milliseconds(1), failure: "it failed", logger: logger)
        let passes = Passes()
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            await job.run(startsAtOnce: true) {
                guard passes.next() < 3 else { return end.finish() }
                throw Failure()
            }
        }
        for await _ in ends {}
        task.cancel()
        await task.value
        #expect(passes.next() >= 4)
    }
}
