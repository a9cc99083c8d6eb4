// Admits one task at a time, first come, first served.
//
// Its line is bounded as a `WorkQueue` is, in length and in time, and a cancelled caller leaves it.

internal import DequeModule
internal import Synchronization

package final class Turnstile: Sendable {
    private struct Waiter {
        let number: UInt64
        let continuation: CheckedContinuation<Result<Void, StorageError>, Never>
    }

    private struct State {
        var isTaken = false
        var waiting: Deque<Waiter> = []
        var lastNumber: UInt64 = 0
    }

    private let limits: WorkLimits
    private let state = Mutex(State())

    package init(limits: WorkLimits = WorkLimits()) {
        self.limits = limits
    }

    /// How many tasks wait.
    package var waitingCount: Int { state.withLock(\.waiting.count) }

    /// Returns when it is the caller's turn, which ends with `leave`. Throws `.overloaded` where too many wait,
    /// `.unavailable` after too long, and `.cancelled`.
    package func enter() async throws(StorageError) {
        let number: UInt64? = state.withLock { state in
            guard state.isTaken else {
                state.isTaken = true
                return nil
            }
            state.lastNumber += 1
            return state.lastNumber
        }
        if let number { try await wait(number).get() }
    }

    package func leave() {
        let next = state.withLock { state in
            let next = state.waiting.popFirst()
            if next == nil { state.isTaken = false }
            return next
        }
        next?.continuation.resume(returning: .success(()))
    }

    // MARK: Waiting

    private func wait(_ number: UInt64) async -> Result<Void, StorageError> {
        let end = ContinuousClock.now + limits.maxWait
        let timer = Task {
            try await Task.sleep(until: end, clock: .continuous)
            giveUp(number, Self.tooLong)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Void, StorageError>, Never>) in
                let answer: Result<Void, StorageError>? = state.withLock { state in
                    // The turn may have ended meanwhile.
                    guard state.isTaken else {
                        state.isTaken = true
                        return .success(())
                    }
                    guard state.waiting.count < limits.capacity else { return .failure(.overloaded) }
                    // The timer may have gone off before there was anything for it to end.
                    guard ContinuousClock.now < end else { return .failure(Self.tooLong) }
                    state.waiting.append(Waiter(number: number, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
                if Task.isCancelled { giveUp(number, .cancelled) }
            }
        } onCancel: {
            giveUp(number, .cancelled)
        }
    }

    private static let tooLong = StorageError.unavailable(reason: "waited too long for the writer")

    private func giveUp(_ number: UInt64, _ error: StorageError) {
        let waiter = state.withLock { state in
            state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
        }
        waiter?.continuation.resume(returning: .failure(error))
    }
}
