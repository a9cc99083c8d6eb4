import Storage
import TestSupport
import Testing

private final class Work: QueuedWork {
    let id: Int
    let weight: Int
    let isExclusive: Bool
    private let reply: Reply<Int, StorageError>?

    init(id: Int, weight: Int = 1, isExclusive: Bool = false, reply: Reply<Int, StorageError>?) {
        self.id = id
        self.weight = weight
        self.isExclusive = isExclusive
        self.reply = reply
    }

    func refuse(_ error: StorageError) { reply?.resume(returning: .failure(error)) }
    func finish() { reply?.resume(returning: .success(id)) }
}

extension [any QueuedWork] {
    fileprivate var ids: [Int?] { map { ($0 as? Work)?.id } }
}

@Suite("the line in front of an engine")
struct WorkQueueTests {
    @Test("a full line refuses the next piece and keeps those it has")
    func overload() async throws {
        let queue = WorkQueue(limits: WorkLimits(capacity: 2))
        for id in 1...2 { queue.adopt(Work(id: id, reply: nil)) }
        let result = await queue.submit(refusal: { $0 }) { (reply: Reply<Int, StorageError>) in
            Work(id: 3, reply: reply)
        }
        #expect(result == .failure(.overloaded))
        #expect(queue.take(count: 10)?.ids == [1, 2])
    }

    @Test("nobody waits longer than the limit, even when no thread ever comes")
    func patience() async throws {
        let queue = WorkQueue(limits: WorkLimits(maxWait: .milliseconds(50)))
        let start = ContinuousClock.now
        let results = await withTaskGroup(of: Result<Int, StorageError>.self) { group in
            for id in 0..<3 {
                group.addTask { await queue.submit(refusal: { $0 }) { reply in Work(id: id, reply: reply) } }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.count == 3)
        for result in results {
            guard case .failure(.unavailable) = result else {
                Issue.record("\(result)")
                return
            }
        }
        #expect(start.duration(to: .now) >= .milliseconds(50))
    }

    @Test("the limit still holds after the line was empty for a while")
    func patienceAgain() async throws {
        let queue = WorkQueue(limits: WorkLimits(maxWait: .milliseconds(20)))
        for _ in 0..<3 {
            let result = await queue.submit(refusal: { $0 }) { (reply: Reply<Int, StorageError>) in
                Work(id: 1, reply: reply)
            }
            guard case .failure(.unavailable) = result else {
                Issue.record("\(result)")
                return
            }
        }
    }

    @Test("a cancelled caller leaves the line and its neighbours stay")
    func cancellation() async throws {
        let queue = WorkQueue(limits: WorkLimits())
        let caller = Task {
            await queue.submit(refusal: { $0 }) { (reply: Reply<Int, StorageError>) in Work(id: 1, reply: reply) }
        }
        queue.adopt(Work(id: 2, reply: nil))
        try await eventually("both are in line") { queue.depth == 2 }
        caller.cancel()
        #expect(await caller.value == .failure(.cancelled))
        #expect(queue.take(count: 10)?.ids == [2])
    }

    @Test("work that travels alone is never taken with others, and order is kept")
    func alone() {
        let queue = WorkQueue(limits: WorkLimits())
        for id in 1...5 { queue.adopt(Work(id: id, isExclusive: id == 3, reply: nil)) }
        #expect(queue.take(count: 10)?.ids == [1, 2])
        #expect(queue.take(count: 10)?.ids == [3])
        #expect(queue.take(count: 10)?.ids == [4, 5])
    }

    @Test("a batch is bounded by weight, and a single heavier piece travels alone")
    func weight() {
        let queue = WorkQueue(limits: WorkLimits())
        for (id, weight) in [(1, 4), (2, 5), (3, 4), (4, 99), (5, 1)] {
            queue.adopt(Work(id: id, weight: weight, reply: nil))
        }
        #expect(queue.take(count: 10, weight: 10)?.ids == [1, 2])
        #expect(queue.take(count: 10, weight: 10)?.ids == [3])
        #expect(queue.take(count: 10, weight: 10)?.ids == [4])
        #expect(queue.take(count: 10, weight: 10)?.ids == [5])
    }

    @Test("one of several threads leaves the others their share")
    func share() {
        let queue = WorkQueue(limits: WorkLimits())
        for id in 1...8 { queue.adopt(Work(id: id, reply: nil)) }
        #expect(queue.take(count: 64, sharedBy: 4)?.count == 2)
    }

    @Test("a closed line serves what it has, refuses what comes, and sends every thread home")
    func closing() async {
        let queue = WorkQueue(limits: WorkLimits())
        queue.adopt(Work(id: 1, reply: nil))
        queue.close()
        let result = await queue.submit(refusal: { $0 }) { (reply: Reply<Int, StorageError>) in
            Work(id: 2, reply: reply)
        }
        guard case .failure(.unavailable) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(queue.take(count: 10)?.ids == [1])
        for _ in 0..<3 { #expect(queue.take() == nil) }
    }
}

extension Work: Equatable {
    static func == (a: Work, b: Work) -> Bool { a.id == b.id }
}
