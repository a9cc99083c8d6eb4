// The turns of long writes, and how much one does.
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Turns of long writes")
struct TurnstileTests {
    /// The names of those that had a turn.
    private final class Turns: Sendable {
        private let names = Mutex<[String]>([])

        var all: [String] { names.withLock { $0 } }
        func add(_ name: String) { names.withLock { $0.append(name) } }
    }

    @Test("one is in, and the others come in the order in which they came")
    func order() async throws {
        let turnstile = Turnstile()
        try await turnstile.enter()
        let seen = Turns()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<5 {
                group.addTask {
                    try await turnstile.enter()
                    seen.add("\(number)")
                    turnstile.leave()
                }
                try await eventually("it waits") { turnstile.waitingCount == number + 1 }
            }
            #expect(seen.all.isEmpty)
            turnstile.leave()
            try await group.waitForAll()
        }
        #expect(seen.all == ["0", "1", "2", "3", "4"])
        try await turnstile.enter()
    }

    @Test("two long jobs take turns, step by step")
    func alternate() async throws {
        let turnstile = Turnstile()
        try await turnstile.enter()
        let steps = Turns()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (count, job) in ["a", "b"].enumerated() {
                group.addTask {
                    for step in 0..<10 {
                        try await turnstile.enter()
                        steps.add(job)
                        // The other has asked for its turn before this one asks again.
                        if step < 9 { try await eventually("the other waits") { turnstile.waitingCount == 1 } }
                        turnstile.leave()
                    }
                }
                try await eventually("it waits") { turnstile.waitingCount == count + 1 }
            }
            turnstile.leave()
            try await group.waitForAll()
        }
        #expect(steps.all == (0..<10).flatMap { _ in ["a", "b"] })
    }

    @Test("one that waits too long, is cancelled, or finds the line full is refused, and the turn goes on")
    func refused() async throws {
        let impatient = Turnstile(limits: WorkLimits(maxWait: .milliseconds(20)))
        try await impatient.enter()
        await #expect(throws: StorageError.unavailable(reason: "waited too long for the writer")) {
            try await impatient.enter()
        }
        #expect(impatient.waitingCount == 0)

        let turnstile = Turnstile(limits: WorkLimits(capacity: 1, maxWait: .seconds(3600)))
        try await turnstile.enter()
        let waiting = Task { try await turnstile.enter() }
        try await eventually("it waits") { turnstile.waitingCount == 1 }
        await #expect(throws: StorageError.overloaded) { try await turnstile.enter() }
        waiting.cancel()
        await #expect(throws: StorageError.cancelled) { try await waiting.value }
        #expect(turnstile.waitingCount == 0)
        // The one that has left gets no turn.
        turnstile.leave()
        try await turnstile.enter()
    }

    @Test("a slow step is followed by one of half its size, and a quick one by one of twice")
    func sizes() {
        var size = StepSize(limit: 500)
        let counts = [51, 60, 1000, 51, 51, 51, 30, 13, 12, 0, 12, 5, 1, 1].map { milliseconds in
            size.took(.milliseconds(milliseconds))
            return size.count
        }
        #expect(counts == [250, 125, 62, 31, 31, 31, 31, 31, 62, 124, 248, 496, 500, 500])
        #expect(size.share(of: 1 << 19) == (1 << 19) / 500 * 500)
        var one = StepSize(limit: 1)
        one.took(.seconds(1))
        #expect(one.count == 1 && one.share(of: 100) == 100)
    }
}
