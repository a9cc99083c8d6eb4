// One stream as the feed knows it: something to wake, with no queue behind it.
//
// A follower hears *that* there is something, never what. It reads the events itself, at its own pace. So a slow one
// holds nothing but its place, and a thousand idle ones are a thousand suspended tasks.
package import Hummingbird
package import NIOCore
internal import Synchronization

/// Where a stream waits between events.
package final class EventFollower: Sendable {
    package struct Signals: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let events = Signals(rawValue: 1)
        package static let heartbeat = Signals(rawValue: 2)
        /// For good: it is seen by each look from then on.
        package static let end = Signals(rawValue: 4)
    }

    private struct State {
        var signals: Signals = []
        var waiting: CheckedContinuation<Void, Never>?
        /// Since when a write has been under way.
        var writingSince: ContinuousClock.Instant?
        var lastWrite = ContinuousClock.now
    }

    let number: UInt64
    /// Whose stream it is.
    let owner: String
    private let startedAt = ContinuousClock.now
    /// How long the stream may go on; then its consumer has to show a new token.
    private let lifetime: Duration
    private let channel: any Channel
    private let isAdmitted: @Sendable () -> Bool
    private let state = Mutex(State())

    init(
        number: UInt64,
        owner: String,
        channel: any Channel,
        lifetime: Duration,
        isAdmitted: @escaping @Sendable () -> Bool
    ) {
        self.number = number
        self.owner = owner
        self.channel = channel
        self.lifetime = lifetime
        self.isAdmitted = isAdmitted
    }

    // MARK: Waking

    package func signal(_ signals: Signals) {
        let (waiting, isStuck) = state.withLock { state in
            state.signals.formUnion(signals)
            defer { state.waiting = nil }
            return (state.waiting, signals.contains(.end) && state.writingSince != nil)
        }
        waiting?.resume()
        // A write waits for its reader and hears nothing else. What is cut off here is sent again after `Last-Event-ID`.
        if isStuck { channel.close(promise: nil) }
    }

    /// Returns as soon as there is a signal, and takes all of them.
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

    // MARK: Writing

    /// Writes to the stream, and notes since when: a reader that takes nothing is cut off, one that has nothing to take
    /// is not.
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

    /// What the passing of time means for this follower.
    func look(at now: ContinuousClock.Instant, _ timing: EventFeedTiming) -> Signals {
        // SECURITY: a token that expired or was revoked ends its stream, as it would be refused.
        guard isAdmitted() else { return .end }
        return state.withLock { state in
            if let writingSince = state.writingSince {
                return writingSince + timing.stall <= now ? .end : []
            }
            if startedAt + lifetime <= now { return .end }
            // One look early rather than one late.
            return state.lastWrite + timing.heartbeat - timing.look < now ? .heartbeat : []
        }
    }
}

/// The times of the feed.
package struct EventFeedTiming: Sendable {
    /// The longest time without a byte on a stream.
    package var heartbeat: Duration = .seconds(5)
    /// How often the feed looks who is due.
    package var look: Duration = .seconds(1)
    /// How long a reader may take nothing.
    package var stall: Duration = .seconds(30)
    /// How long a stream lives, up to a tenth less.
    package var lifetime: Duration = .seconds(3600)
    /// From how long after the last good read of the log no heartbeat vouches for it any more.
    package var vouch: Duration = .seconds(3)
    /// From how long after the last good read streams end.
    package var blind: Duration = .seconds(10)

    package init() {}
}
