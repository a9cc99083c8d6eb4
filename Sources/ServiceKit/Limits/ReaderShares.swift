// A share of the database's readers for each person (decision 0034).
//
// An engine serves its queue in order of arrival. One account that sends many heavy reads would fill it, and the next
// page of each other would wait behind all of them. So an account has few reads in the queue at a time, and its
// others wait outside. How many is found out by trying: one more after each quick read, half after each slow one, and
// never fewer than the share.
package import Storage
import Synchronization

/// Admits reads, owner by owner.
package final class ReaderShares: Sendable {
    private struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct Owner {
        var running = 0
        /// How many may run.
        var width: Int
        var waiting: [Waiter] = []
    }

    private struct State {
        var owners: [String: Owner] = [:]
        var nextID: UInt64 = 0
    }

    /// What an owner always has.
    private let share: Int
    /// What an owner has whose reads are quick.
    private let maxWidth: Int
    /// How many reads of one owner may wait; more are refused.
    private let maxWaiting: Int
    private let maxWait: Duration
    private let state = Mutex(State())

    /// Up to here a read is quick, and from there it is slow.
    private static let (quick, slow): (Duration, Duration) = (.milliseconds(5), .milliseconds(20))

    package init(share: Int, maxWidth: Int = 16, maxWaiting: Int = 256, maxWait: Duration = .seconds(10)) {
        self.share = share
        self.maxWidth = max(maxWidth, share)
        self.maxWaiting = maxWaiting
        self.maxWait = maxWait
    }

    /// Runs a read of an owner when it may run.
    package func run<T: Sendable>(
        of owner: String,
        _ body: () async throws(StorageError) -> T
    ) async throws(StorageError) -> T {
        if !enter(owner) { try await wait(owner) }
        let begin = ContinuousClock.now
        defer { leave(owner, after: .now - begin) }
        return try await body()
    }

    /// Counts a read in, if one may run.
    func enter(_ owner: String) -> Bool {
        state.withLock { state in
            let known = state.owners[owner] ?? Owner(width: share)
            guard known.running < known.width, known.waiting.isEmpty else { return false }
            state.owners[owner, default: known].running += 1
            return true
        }
    }

    private func wait(_ owner: String) async throws(StorageError) {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let end = ContinuousClock.now + maxWait
        let timer = Task {
            try await Task.sleep(until: end, clock: .continuous)
            giveUp(id, owner)
        }
        let isIn = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
                let answer: Bool? = state.withLock { state in
                    var known = state.owners[owner] ?? Owner(width: share)
                    defer { state.owners[owner] = known }
                    // One may have left meanwhile.
                    if known.running < known.width, known.waiting.isEmpty {
                        known.running += 1
                        return true
                    }
                    // The timer may have gone off before there was anything for it to end.
                    guard known.waiting.count < maxWaiting, ContinuousClock.now < end else { return false }
                    known.waiting.append(Waiter(id: id, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
                if Task.isCancelled { giveUp(id, owner) }
            }
        } onCancel: {
            giveUp(id, owner)
        }
        timer.cancel()
        guard isIn else { throw .overloaded }
    }

    private func giveUp(_ id: UInt64, _ owner: String) {
        let waiter = state.withLock { state in
            guard let index = state.owners[owner]?.waiting.firstIndex(where: { $0.id == id }) else {
                return Waiter?.none
            }
            return state.owners[owner]?.waiting.remove(at: index)
        }
        waiter?.continuation.resume(returning: false)
    }

    /// Counts a read out that took so long, and lets in those that may run now.
    func leave(_ owner: String, after time: Duration) {
        let next = state.withLock { state -> [Waiter] in
            guard var known = state.owners[owner] else { return [] }
            known.running -= 1
            if time <= Self.quick { known.width = min(known.width + 1, maxWidth) }
            if time >= Self.slow { known.width = max(known.width / 2, share) }
            let admitted = known.waiting.prefix(max(0, known.width - known.running))
            known.waiting.removeFirst(admitted.count)
            known.running += admitted.count
            // An owner without reads begins again.
            state.owners[owner] = known.running == 0 ? nil : known
            return Array(admitted)
        }
        for waiter in next { waiter.continuation.resume(returning: true) }
    }

    /// How many owners have reads that run or wait.
    package var ownerCount: Int { state.withLock { $0.owners.count } }

    /// How many reads wait.
    package var waitingCount: Int { state.withLock { $0.owners.values.reduce(0) { $0 + $1.waiting.count } } }
}
