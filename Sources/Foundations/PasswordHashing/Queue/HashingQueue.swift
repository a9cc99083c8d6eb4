// The line in front of the hashing threads.
//
// A login is cheap to send and expensive to answer. The line is therefore short and says so at once when it is
// full, instead of letting every caller time out; a caller who has gone leaves it; and the threads are ours, so
// that no amount of hashing delays an event loop or another task.

internal import DequeModule
internal import Foundation
internal import OpenSSLCrypto
internal import Synchronization

/// One hash to compute, and who waits for it.
struct HashingJob: Sendable {
    /// Names the job to the cancellation handler of its caller.
    final class Ticket: Sendable {
        let isCancelled = Atomic(false)
    }

    let ticket: Ticket
    let password: SecretBytes
    let request: Argon2Request
    /// Resumed exactly once, by whoever takes the job out of the line.
    let reply: CheckedContinuation<Result<[UInt8], HashingError>, Never>
}

/// A bounded first-in, first-out line with a condition variable.
///
/// SAFETY: every variable is touched only while `condition` is locked.
final class HashingQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private let limit: Int
    private let threads: Int
    private var jobs: Deque<HashingJob> = []
    private var isClosed = false
    /// Threads that have entered and not left.
    private var running = 0
    /// Threads that are computing.
    private var busy = 0
    private var closers: [CheckedContinuation<Void, Never>] = []
    /// How long a hash takes, a moving average in seconds; tells callers when to come back.
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

    // MARK: - The callers' side

    /// Jobs in line, not counting those being computed.
    var count: Int { locked { jobs.count } }

    /// Puts a job in line; an error means that it was not taken.
    func add(_ job: HashingJob) -> HashingError? {
        locked {
            guard !job.ticket.isCancelled.load(ordering: .relaxed) else { return .cancelled }
            guard !isClosed else { return .shutDown }
            // A thread without work counts as room: what it is about to take does not really wait.
            guard jobs.count < limit + threads - busy else {
                let wait = secondsPerHash * Double(jobs.count) / Double(threads)
                return .overloaded(retryAfterSeconds: Int(min(60, max(1, wait.rounded(.up)))))
            }
            jobs.append(job)
            condition.signal()
            return nil
        }
    }

    /// Takes a job out of line whose caller has gone. One that is being computed runs to its end.
    func cancel(_ ticket: HashingJob.Ticket) {
        let job: HashingJob? = locked {
            // Marked under the lock: `add` either sees the mark or has put the job where it is found here.
            ticket.isCancelled.store(true, ordering: .relaxed)
            return jobs.firstIndex { $0.ticket === ticket }.map { jobs.remove(at: $0) }
        }
        job?.reply.resume(returning: .failure(.cancelled))
    }

    // MARK: - The threads' side

    /// Called before a thread is started, so that `close` knows of it; false when it should not start any more.
    func enter() -> Bool {
        locked {
            if !isClosed { running += 1 }
            return !isClosed
        }
    }

    /// Waits for the next job; `nil` once closed.
    ///
    /// `whenIdle`: called once if nothing came for `idleTime`.
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

    /// Called after each job, with how long it took.
    func finish(seconds: Double) {
        locked {
            busy -= 1
            secondsPerHash += (seconds - secondsPerHash) / 8
        }
    }

    /// Called by each thread as its last act.
    func leave() {
        let waiting: [CheckedContinuation<Void, Never>] = locked {
            running -= 1
            guard running == 0 else { return [] }
            defer { closers = [] }
            return closers
        }
        for closer in waiting { closer.resume() }
    }

    // MARK: - The end

    /// Admits nothing more and refuses what waits; hashes being computed are finished.
    func close() {
        let refused: Deque<HashingJob> = locked {
            isClosed = true
            condition.broadcast()
            defer { jobs = [] }
            return jobs
        }
        for job in refused { job.reply.resume(returning: .failure(.shutDown)) }
    }

    /// Returns when every thread has left.
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
