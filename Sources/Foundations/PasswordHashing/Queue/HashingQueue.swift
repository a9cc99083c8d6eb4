// The queue before the hashing threads.
//
// A login is cheap to send and expensive to answer. So the queue is short and refuses at once when full, instead of
// letting every caller time out. A cancelled caller leaves it. The threads are separate, so hashing delays no event
// loop.

internal import DequeModule
internal import Foundation
internal import OpenSSLCrypto
internal import Synchronization

struct HashingJob: Sendable {
    /// Identifies the job when its caller is cancelled.
    final class Ticket: Sendable {
        let isCancelled = Atomic(false)
    }

    let ticket: Ticket
    let password: SecretBytes
    let request: Argon2Request
    /// Resumed exactly once, by the code that removes the job from the queue.
    let reply: CheckedContinuation<Result<[UInt8], HashingError>, Never>
}

/// A bounded first-in, first-out queue with a condition variable.
///
/// SAFETY: every variable is accessed only while `condition` is locked.
final class HashingQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private let limit: Int
    private let threads: Int
    private var jobs: Deque<HashingJob> = []
    private var isClosed = false
    private var running = 0
    private var busy = 0
    private var closers: [CheckedContinuation<Void, Never>] = []
    /// A moving average, for `Retry-After`.
    private var secondsPerHash = 0.05

    init(limit: Int, threads: Int) {
        self.limit = limit
        self.threads = threads
    }

    private func locked<T>(_ body: () -> T) -> T {
        condition.lock()
        defer { condition.unlock() }
        return body()
    }

    /// Excludes the jobs being computed.
    var count: Int { locked { jobs.count } }

    /// An error means that the job was not taken.
    func add(_ job: HashingJob) -> HashingError? {
        locked {
            guard !job.ticket.isCancelled.load(ordering: .relaxed) else { return .cancelled }
            guard !isClosed else { return .shutDown }
            // An idle thread counts as room: it takes the job at once.
            guard jobs.count < limit + threads - busy else {
                let wait = secondsPerHash * Double(jobs.count) / Double(threads)
                return .overloaded(retryAfterSeconds: Int(min(60, max(1, wait.rounded(.up)))))
            }
            jobs.append(job)
            condition.signal()
            return nil
        }
    }

    /// Removes a job whose caller is gone. A job that is being computed runs to its end.
    func cancel(_ ticket: HashingJob.Ticket) {
        let job: HashingJob? = locked {
            // Under the lock, `add` either sees the mark or has already queued the job, which is found here.
            ticket.isCancelled.store(true, ordering: .relaxed)
            return jobs.firstIndex { $0.ticket === ticket }.map { jobs.remove(at: $0) }
        }
        job?.reply.resume(returning: .failure(.cancelled))
    }

    /// Called before a thread starts, so that `close` counts it; false once closed.
    func enter() -> Bool {
        locked {
            if !isClosed { running += 1 }
            return !isClosed
        }
    }

    /// The next job; `nil` once closed. Calls `whenIdle` once if none came for `idleTime`.
    func next(idleTime: TimeInterval, whenIdle: () -> Void) -> HashingJob? {
        condition.lock()
        defer { condition.unlock() }
        var isIdle = false
        let idleAt = Date(timeIntervalSinceNow: idleTime)
        while true {
            if isClosed { return nil }
            if let job = jobs.popFirst() {
                busy += 1
                return job
            }
            if isIdle {
                condition.wait()
            } else if !condition.wait(until: idleAt), jobs.isEmpty {
                isIdle = true
                whenIdle()
            }
        }
    }

    func finish(seconds: Double) {
        locked {
            busy -= 1
            secondsPerHash += (seconds - secondsPerHash) / 8
        }
    }

    func leave() {
        let waiting: [CheckedContinuation<Void, Never>] = locked {
            running -= 1
            guard running == 0 else { return [] }
            defer { closers = [] }
            return closers
        }
        for closer in waiting { closer.resume() }
    }

    /// Refuses new and waiting jobs; running hashes finish.
    func close() {
        let refused: Deque<HashingJob> = locked {
            isClosed = true
            condition.broadcast()
            defer { jobs = [] }
            return jobs
        }
        for job in refused { job.reply.resume(returning: .failure(.shutDown)) }
    }

    func waitForThreads() async {
        await withCheckedContinuation { continuation in
            let isOver = locked {
                if running > 0 { closers.append(continuation) }
                return running == 0
            }
            if isOver { continuation.resume() }
        }
    }
}
