// What a follower of the feed knows: the revocations, its position, and how current both are. One value behind one
// lock.

package struct RevocationReplica: Sendable {
    /// Tokens are judged by these.
    package private(set) var revocations: Revocations
    /// Read since the feed was restarted. At the end of the feed it replaces `revocations`.
    private var collected: Revocations?
    /// The position to resume at; `nil` to restart.
    private(set) var position: String?
    package private(set) var isCurrent = false
    package private(set) var wasEverCurrent = false
    /// When the issuer last sent something.
    package private(set) var heardAt: ContinuousClock.Instant

    /// Three heartbeats: after a longer silence nothing is current, whatever the state says.
    private static let maxSilence: Duration = .seconds(15)

    package init(lifetime: Int64, now: ContinuousClock.Instant) {
        revocations = Revocations(lifetime: lifetime)
        collected = Revocations(lifetime: lifetime)
        heardAt = now
    }

    /// Whether the feed is being read back and has not reached its end.
    var isReadBack: Bool { collected != nil }

    var state: RevocationState { isCurrent ? .current : .stale(since: heardAt) }

    /// Whether tokens may be judged by these revocations.
    func suffices(_ policy: StalePolicy, now: () -> ContinuousClock.Instant) -> Bool {
        guard wasEverCurrent else { return false }
        switch policy {
        case .serve: return true
        case .refuse(let limit):
            // A process that was halted wakes up with a connection that looks open.
            return now() - heardAt <= (isCurrent ? max(limit, Self.maxSilence) : limit)
        }
    }

    package mutating func hear(at now: ContinuousClock.Instant) { heardAt = now }

    /// The event counts at once, also while the feed is read back.
    package mutating func take(_ revocation: Revocation, position: String?, now: Int64) {
        revocations.add(revocation, now: now)
        collected?.add(revocation, now: now)
        if let position { self.position = position }
    }

    mutating func move(to position: String) { self.position = position }

    /// The end of the feed is reached.
    ///
    /// - Returns: whether that is a change.
    @discardableResult
    package mutating func catchUp() -> Bool {
        if let collected {
            // A restored database counts versions from its backup, so earlier minimum versions no longer apply. A
            // revoked key never returns.
            revocations = collected
            self.collected = nil
        }
        defer { (isCurrent, wasEverCurrent) = (true, true) }
        return !isCurrent
    }

    /// The stream has ended.
    ///
    /// - Returns: whether that is a change.
    @discardableResult
    package mutating func lose() -> Bool {
        defer { isCurrent = false }
        return isCurrent
    }

    /// The position is void: the feed must be read back by the lifetime of a token.
    package mutating func beginAnew() {
        position = nil
        collected = Revocations(lifetime: revocations.lifetime, keys: revocations.keys)
    }

    package mutating func purge(now: Int64) {
        revocations.purge(now: now)
        collected?.purge(now: now)
    }
}
