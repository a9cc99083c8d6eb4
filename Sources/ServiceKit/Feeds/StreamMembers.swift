// The streams of one feed on this node, with their limits and deadlines.
//
// It is a value, so a feed changes its streams and its read state behind one lock. Followers are signalled after the
// lock is released.
package import Metrics
package import NIOCore

package struct StreamMembers: Sendable {
    private var followers: [String: [UInt64: EventFollower]] = [:]
    private var next: UInt64 = 0
    private let limit: Int
    private let limitPerOwner: Int
    private let lifetime: Duration
    private let gauge: Gauge

    package private(set) var count = 0 {
        // Recorded under the lock: outside, two threads could record in the wrong order, and the last value stays.
        didSet { gauge.record(count) }
    }

    /// `lifetime`: of a stream, up to a tenth less.
    package init(limit: Int = .max, limitPerOwner: Int = .max, lifetime: Duration, gauge: Gauge) {
        self.limit = limit
        self.limitPerOwner = limitPerOwner
        self.lifetime = lifetime
        self.gauge = gauge
    }

    package func hasRoom(for owner: String) -> Bool {
        count < limit && followers[owner]?.count ?? 0 < limitPerOwner
    }

    /// `isAuthorized` says whether the stream's token is still valid; it is called at each tick.
    package mutating func add(
        _ owner: String,
        channel: any Channel,
        isAuthorized: @escaping @Sendable () -> Bool = { true }
    ) -> EventFollower {
        next += 1
        let follower = EventFollower(
            number: next,
            owner: owner,
            channel: channel,
            // Streams that were opened together should not end together.
            lifetime: lifetime * Double.random(in: 0.9...1),
            isAuthorized: isAuthorized
        )
        followers[owner, default: [:]][follower.number] = follower
        count += 1
        // A stream that waits for events writes nothing, so only its next heartbeat would find that the client left.
        channel.closeFuture.whenComplete { [weak follower] _ in follower?.signal(.end) }
        return follower
    }

    package mutating func remove(_ follower: EventFollower) {
        guard followers[follower.owner]?.removeValue(forKey: follower.number) != nil else { return }
        if followers[follower.owner]?.isEmpty == true { followers[follower.owner] = nil }
        count -= 1
    }

    package mutating func removeAll() -> [EventFollower] {
        defer { (followers, count) = ([:], 0) }
        return all
    }

    package var all: [EventFollower] { followers.values.flatMap(\.values) }

    package func of(_ owner: String) -> [EventFollower] { followers[owner].map { Array($0.values) } ?? [] }
}

extension Sequence<EventFollower> {
    package func signal(_ signals: EventFollower.Signals) {
        for follower in self { follower.signal(signals) }
    }

    /// Signals a due heartbeat or the end of a stream. `heartbeats`: whether they may be sent now.
    package func tick(at now: ContinuousClock.Instant, _ timing: EventFeedTiming, heartbeats: Bool = true) {
        for follower in self {
            var signals = follower.tick(at: now, timing)
            if !heartbeats { signals.remove(.heartbeat) }
            if !signals.isEmpty { follower.signal(signals) }
        }
    }
}
