// One stream, as its feed sees it: something to wake, without a queue.
//
// A follower is signalled that there are events, and reads them itself at its own pace. So a slow stream holds only its
// position, and a thousand idle ones are a thousand suspended tasks.
package import Hummingbird
package import NIOCore
internal import Synchronization

package final class EventFollower: Sendable {
    package struct Signals: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let events = Signals(rawValue: 1)
        package static let heartbeat = Signals(rawValue: 2)
        /// Permanent: every later wait returns it too.
        package static let end = Signals(rawValue: 4)
    }

    private struct State {
        var signals: Signals = []
        var waiting: CheckedContinuation<Void, Never>?
        /// When the write in progress began.
        var writingSince: ContinuousClock.Instant?
        var lastWrite = ContinuousClock.now
    }

    let number: UInt64
    let owner: String
    private let startedAt = ContinuousClock.now
    /// After this time the client must connect again with a new token.
    private let lifetime: Duration
    private let channel: any Channel
    private let isAuthorized: @Sendable () -> Bool
    private let state = Mutex(State())

    init(
        number: UInt64,
        owner: String,
        channel: any Channel,
        lifetime: Duration,
        isAuthorized: @escaping @Sendable () -> Bool
    ) {
        self.number = number
        self.owner = owner
        self.channel = channel
        self.lifetime = lifetime
        self.isAuthorized = isAuthorized
    }

    package func signal(_ signals: Signals) {
        let (waiting, isStuck) = state.withLock { state in
            state.signals.formUnion(signals)
            defer { state.waiting = nil }
            return (state.waiting, signals.contains(.end) && state.writingSince != nil)
        }
        waiting?.resume()
        // A write in progress receives no signal. The client gets the lost events again by `Last-Event-ID`.
        if isStuck { channel.close(promise: nil) }
    }

    /// Returns all signals as soon as there is one.
    package func wait() async -> Signals {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSignalled = state.withLock { state in
                    if state.signals.isEmpty { state.waiting = continuation }
                    return !state.signals.isEmpty
                }
                if isSignalled { continuation.resume() }
            }
        } onCancel: {
            signal(.end)
        }
        return state.withLock { state in
            defer { state.signals.formIntersection(.end) }
            return state.signals
        }
    }

    package var hasEnded: Bool { state.withLock { $0.signals.contains(.end) } }

    @concurrent
    package func write(_ bytes: ByteBuffer, to writer: inout any ResponseBodyWriter) async throws {
        state.withLock { $0.writingSince = .now }
        defer {
            state.withLock { state in
                state.writingSince = nil
                state.lastWrite = .now
            }
        }
        try await writer.write(bytes)
    }

    /// The signals that the passing of time causes.
    func tick(at now: ContinuousClock.Instant, _ timing: EventFeedTiming) -> Signals {
        // SECURITY: a stream ends when its token expires or is revoked.
        guard isAuthorized() else { return .end }
        return state.withLock { state in
            if let writingSince = state.writingSince {
                return writingSince + timing.writeTimeout <= now ? .end : []
            }
            if startedAt + lifetime <= now { return .end }
            // Rounds up: one tick early rather than late.
            return state.lastWrite + timing.heartbeat - timing.tick < now ? .heartbeat : []
        }
    }
}

package struct EventFeedTiming: Sendable {
    /// The longest time without a byte on a stream.
    package var heartbeat: Duration = .seconds(5)
    /// How often the feed checks its streams.
    package var tick: Duration = .seconds(1)
    /// How long a reader may accept nothing.
    package var writeTimeout: Duration = .seconds(30)
    package var lifetime: Duration = .seconds(3600)
    /// No heartbeat is sent when the last successful read of the log is older.
    package var heartbeatMaxLag: Duration = .seconds(3)
    /// Streams end when the last successful read of the log is older.
    package var closeAfterLag: Duration = .seconds(10)

    package init() {}
}
