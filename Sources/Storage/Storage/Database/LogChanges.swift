// The followers of an ordered log, and the thread that notices its growth.
//
// A change is a hint without content: it says that reading the log may be worth it. Hints may be merged, repeated or
// unfounded, because a follower reads with one query whatever woke it. A hint must never be missing. A watcher gives
// one when it starts, when it finds the log again after losing it, and at least every second. So what an engine fails
// to notice is late and not lost.
//
// The first follower of a log starts its thread, and the last one ends it.

internal import Synchronization

/// Notices the growth of a log, on its own thread.
package protocol LogWatcher: Sendable {
    /// Watches until `stop`, blocking the thread.
    func run()

    /// Makes `run` return soon. Any thread may call it, even before `run`.
    func stop()
}

/// The followers of an engine's logs.
package final class LogChanges: Sendable {
    /// The longest time between two hints.
    package static let interval: Duration = .seconds(1)

    private struct Watched {
        let watcher: any LogWatcher
        var followers: [UInt64: AsyncStream<Void>.Continuation] = [:]
    }

    private struct State {
        var watched: [OrderedLog: Watched] = [:]
        var nextFollower: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let threads = ThreadGroup(count: 0)
    private let makeWatcher: @Sendable (OrderedLog, _ changed: @escaping @Sendable () -> Void) -> any LogWatcher

    /// `makeWatcher` makes the watcher of one log, which calls its closure for each hint.
    package init(
        makeWatcher: @escaping @Sendable (OrderedLog, _ changed: @escaping @Sendable () -> Void) -> any LogWatcher
    ) {
        self.makeWatcher = makeWatcher
    }

    /// Hints that the log may have grown, until the engine closes or the stream is released.
    package func stream(of log: OrderedLog) -> AsyncStream<Void> {
        // One hint says as much as many.
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let (follower, started) = state.withLock { state -> (UInt64?, (any LogWatcher)?) in
            guard !state.isClosed else { return (nil, nil) }
            state.nextFollower += 1
            let follower = state.nextFollower
            var started: (any LogWatcher)?
            if state.watched[log] == nil {
                let watcher = makeWatcher(log) { [weak self] in self?.changed([log]) }
                state.watched[log] = Watched(watcher: watcher)
                started = watcher
                threads.enter()
            }
            state.watched[log]?.followers[follower] = continuation
            return (follower, started)
        }
        guard let follower else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.leave(log, follower) }
        if let started {
            OwnThread.start("log-watcher") { [threads] in
                started.run()
                threads.leave()
            }
        }
        continuation.yield()
        return stream
    }

    /// Hints to the followers of these logs. An engine may call it for its own commits.
    package func changed(_ logs: Set<OrderedLog>) {
        let followers = state.withLock { state in
            logs.flatMap { state.watched[$0].map { Array($0.followers.values) } ?? [] }
        }
        for follower in followers { follower.yield() }
    }

    private func leave(_ log: OrderedLog, _ follower: UInt64) {
        let watcher = state.withLock { state -> (any LogWatcher)? in
            state.watched[log]?.followers[follower] = nil
            guard state.watched[log]?.followers.isEmpty == true else { return nil }
            return state.watched.removeValue(forKey: log)?.watcher
        }
        watcher?.stop()
    }

    /// Ends every stream without waiting for the threads.
    package func stop() {
        let watched = state.withLock { state in
            state.isClosed = true
            defer { state.watched = [:] }
            return Array(state.watched.values)
        }
        for log in watched {
            log.watcher.stop()
            for follower in log.followers.values { follower.finish() }
        }
    }

    /// Ends every stream, and returns when no thread watches any more.
    package func close() async {
        stop()
        await threads.wait()
    }
}
