// The budget of memory: which requests get some, which wait, and which are refused.
import ServiceKit
import TestSupport
import Testing

@Suite("The memory budget")
struct MemoryBudgetTests {
    private static let mib = 1 << 20

    @Test("is taken and given back, and one owner gets a share")
    func shares() async throws {
        let budget = MemoryBudget(bytes: 256 * Self.mib, maxWait: .milliseconds(1))
        #expect(budget.share == 64 * Self.mib)
        #expect(budget.takeNow(60 * Self.mib, for: "ada"))
        #expect(!budget.takeNow(5 * Self.mib, for: "ada"))
        for owner in ["grace", "alan", "edsger"] { #expect(budget.takeNow(60 * Self.mib, for: owner)) }
        #expect(!budget.takeNow(17 * Self.mib, for: "barbara"))
        #expect(budget.takeNow(16 * Self.mib, for: "barbara"))
        #expect(budget.taken == 256 * Self.mib)
        budget.giveBack(60 * Self.mib, of: "ada")
        #expect(budget.takeNow(60 * Self.mib, for: "ada"))
        // One request alone may need more than a share, and more than there is at all is refused without waiting.
        let patient = MemoryBudget(bytes: 256 * Self.mib, maxWait: .seconds(3600))
        #expect(patient.takeNow(65 * Self.mib, for: "ada"))
        #expect(!patient.takeNow(1, for: "ada"))
        await #expect(throws: MemoryExhausted()) { try await patient.take(257 * Self.mib, for: "grace") }
    }

    @Test("a request that finds none waits, and gets what others give back, the oldest first where there is enough")
    func waits() async throws {
        let budget = MemoryBudget(bytes: 100, maxWait: .seconds(3600))
        for owner in 0..<10 { #expect(budget.takeNow(10, for: "\(owner)")) }
        let order = LoggedLines()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (name, count) in [("large", 30), ("small", 10), ("late", 10)] {
                let before = budget.waitingCount
                group.addTask {
                    try await budget.take(count, for: name)
                    order.add(name)
                }
                try await eventually("\(name) waits") { budget.waitingCount == before + 1 }
            }
            // Too little for the oldest, which does not hold up the next.
            budget.giveBack(10, of: "0")
            try await eventually("the small one has its memory") { order.all == ["small"] }
            budget.giveBack(10, of: "1")
            try await eventually("the late one has its memory") { order.all == ["small", "late"] }
            for owner in 2..<5 { budget.giveBack(10, of: "\(owner)") }
            try await group.waitForAll()
        }
        #expect(order.all.last == "large")
        #expect(budget.taken == 100 && budget.waitingCount == 0)
    }

    @Test("is refused after the time, and to a request that is cancelled, and nothing is left behind")
    func refused() async throws {
        let budget = MemoryBudget(bytes: 100, maxWait: .milliseconds(20))
        #expect(budget.takeNow(50, for: "ada"))
        await #expect(throws: MemoryExhausted()) { try await budget.take(10, for: "ada") }
        let patient = MemoryBudget(bytes: 100, maxWait: .seconds(3600))
        #expect(patient.takeNow(50, for: "ada"))
        let waiting = Task { try await patient.take(10, for: "ada") }
        try await eventually("it waits") { patient.waitingCount == 1 }
        waiting.cancel()
        await #expect(throws: MemoryExhausted()) { try await waiting.value }
        patient.giveBack(50, of: "ada")
        #expect(budget.waitingCount == 0 && patient.waitingCount == 0 && patient.taken == 0)
    }

    @Test("what a request has taken is given back with its last reference, or before")
    func scope() async throws {
        let budget = MemoryBudget(bytes: 1000)
        do {
            let scope = RequestScope(budget: budget, network: "192.0.2.1")
            scope.identify(.person("ada"))
            try await scope.take(upTo: 100)
            try await scope.take(upTo: 60)
            try await scope.take(result: 50)
            // The result before is gone by then.
            #expect(scope.takeNow(result: 60))
            try await scope.take(result: 40)
            #expect(budget.taken == 160 && scope.taken == 160)
            scope.settle(at: 40)
            scope.settle(at: 90)
            #expect(budget.taken == 40)
            // One that needs all there is gets that.
            #expect(scope.takeNow(result: 5000))
            #expect(budget.taken == 1000)
        }
        #expect(budget.taken == 0)
    }
}
