// What a follower knows, apart from how it came to know it: the revocations, where in the feed it is, and how current
// that is. One value behind one lock.

package struct FeedKnowledge: Sendable {
    /// What tokens are judged by.
    package private(set) var revocations: Revocations
    /// What has been read since the feed was begun anew. Its end is not reached yet; then it replaces `revocations`.
    private var collected: Revocations?
    /// The last position that was heard, to go on from; `nil` to begin anew.
    private(set) var position: String?
    package private(set) var isCurrent = false
    package private(set) var wasEverCurrent = false
    /// When the issuer was heard from last.
    package private(set) var heardAt: ContinuousClock.Instant

    /// Three heartbeats: who has heard nothing for longer is not current, whatever it believes.
    private static let longestSilence: Duration = .seconds(15)

    package init(lifetime: Int64, now: ContinuousClock.Instant) {
        revocations = Revocations(lifetime: lifetime)
        collected = Revocations(lifetime: lifetime)
        heardAt = now
    }

    /// Whether the feed is being read back, and its end is not reached yet.
    var isReadBack: Bool { collected != nil }

    var state: RevocationState { isCurrent ? .current : .stale(since: heardAt) }

    /// Whether tokens may be judged by what is known.
    func suffices(_ policy: StalePolicy, now: () -> ContinuousClock.Instant) -> Bool {
        guard wasEverCurrent else { return false }
        switch policy {
        case .serve: return true
        case .refuse(let limit):
            // A process that was halted wakes up with a connection that it takes for alive.
            return now() - heardAt <= (isCurrent ? max(limit, Self.longestSilence) : limit)
        }
    }

    package mutating func hear(at now: ContinuousClock.Instant) { heardAt = now }

    /// Takes what an event says. It counts at once, also while the feed is read anew.
    package mutating func take(_ revocation: Revocation, position: String?, now: Int64) {
        revocations.add(revocation, now: now)
        collected?.add(revocation, now: now)
        if let position { self.position = position }
    }

    mutating func move(to position: String) { self.position = position }

    /// Everything that there was has been read.
    ///
    /// - Returns: whether that is news.
    @discardableResult
    package mutating func catchUp() -> Bool {
        if let collected {
            // A restored database counts versions from where its backup was: what was demanded before it does not
            // hold. A key that was revoked never comes back.
            revocations = collected
            self.collected = nil
        }
        defer { (isCurrent, wasEverCurrent) = (true, true) }
        return !isCurrent
    }

    /// The stream has ended.
    ///
    /// - Returns: whether that is news.
    @discardableResult
    package mutating func lose() -> Bool {
        defer { isCurrent = false }
        return isCurrent
    }

    /// The position is none any more: the feed must be read from as long ago as a token lives.
    package mutating func beginAnew() {
        position = nil
        collected = Revocations(lifetime: revocations.lifetime, keys: revocations.keys)
    }

    package mutating func purge(now: Int64) {
        revocations.purge(now: now)
        collected?.purge(now: now)
    }
}
